"""Runs of plain inputs: the logits of some tokens after each, without an edit inside the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import NotMeasured
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN
from audit_core.prompts.answers import Contrast, Tokens
from audit_core.prompts.prompt_set import Prompt, TokenisedPrompts, TokenPair
from audit_core.subject import Subject

_UNREAD = Contrast((), ((0,),), ((1,),))
"""Placeholder ids: the whole vocabulary is read."""
_PROMPT = Prompt("document", "", "", "", "", "")
_MAX_FLOATS = 20_000_000


def read_values(
    subject: Subject, rows: Sequence[Tokens], values: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits of some tokens after each input, shape (row, token), and the most probable token, shape (row,).

    Two different inputs of one length are the two runs of a pair.

    Raises:
        NotMeasured: the model produced NaN.
    """
    logits, top = np.empty((len(rows), len(values))), np.empty(len(rows), np.int64)
    by_length: dict[int, list[int]] = {}
    for at, ids in enumerate(rows):
        by_length.setdefault(len(ids), []).append(at)
    size = max(2, _MAX_FLOATS // subject.geometry.n_vocabulary // 2 * 2)
    for members in by_length.values():
        for start in range(0, len(members), size):
            part = members[start : start + size]
            for places, found in _run(subject, rows, part):
                logits[places], top[places] = found[:, list(values)], found.argmax(axis=1)
    if not np.isfinite(logits).all():
        raise NotMeasured("control_failed", "the model produced NaN.")
    return logits, top


def _run(subject: Subject, rows: Sequence[Tokens], part: Sequence[int]) -> list[tuple[list[int], NDArray[np.float32]]]:
    first, second = list(part[0 : len(part) // 2 * 2 : 2]), list(part[1::2])
    found = []
    if first:
        pairs = [_pair(rows[a], rows[b]) for a, b in zip(first, second, strict=True)]
        read = subject.run(TokenisedPrompts("documents", tuple(pairs), ""), (CLEAN_RUN, CORRUPTED_RUN), vocabulary=True)
        assert read.vocabulary is not None
        found += [(first, read.vocabulary[0]), (second, read.vocabulary[1])]
    if len(part) % 2:
        last = rows[part[-1]]
        # Only the first run of this pair is made; the engine wants the two to differ.
        other = (*last[:-1], 0 if last[-1] else 1)
        one = subject.run(TokenisedPrompts("documents", (_pair(last, other),), ""), (CLEAN_RUN,), vocabulary=True)
        assert one.vocabulary is not None
        found.append(([part[-1]], one.vocabulary[0]))
    return found


def _pair(clean: Tokens, other: Tokens) -> TokenPair:
    return TokenPair(_PROMPT, clean, other, _UNREAD, (), (), True)
