"""Attention from the answer position to each document: what was consulted, never what was relied on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from audit_core.capability import ATTENTION
from audit_core.documents.question_runs import QuestionRuns
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Subject


def read_attention(
    subject: Subject, prompts: TokenisedPrompts, found: Sequence[QuestionRuns]
) -> tuple[tuple[float | None, ...], ...]:
    """Attention to each document's text, averaged over heads and layers; None where the model shows none."""
    if not ATTENTION.is_met(subject):
        return tuple((None,) * one.n for one in found)
    pairs = tuple(
        replace(pair, clean_ids=one.encoded.join(one.encoded.bodies), corrupted_ids=one.encoded.join([f[0] for f in one.fillers]))
        for pair, one in zip(prompts.pairs, found, strict=True)
    )  # fmt: skip
    rows = ATTENTION.of(subject).attention_to_last(replace(prompts, pairs=pairs))
    return tuple(
        tuple(float(np.nanmean(row[:, :, list(one.encoded.find_places(at))].sum(axis=2))) for at in range(one.n))
        for row, one in zip(rows, found, strict=True)
    )
