"""Places in the source: the one that a question is about, and tokens of other prompts at the same place."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np

from audit_core.errors import NotMeasured
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.subject import CrossAttention, Floats


class SourceToken(StrEnum):
    """The token of each prompt's source that is asked about."""

    CONSULTED = "consulted"
    """The one with the most cross-attention from the answer position, averaged over heads."""
    CHANGED = "changed"
    """The first one that differs between clean and corrupted."""
    NEXT = "next"
    """The one with the second most cross-attention."""


def choose_places(
    prompts: TokenisedPrompts, attention: Sequence[Floats], which: SourceToken, subject: CrossAttention
) -> tuple[int, ...]:
    """Place of the token in each prompt.

    Args:
        attention: per prompt, from the answer position; shape (layer, head, source position).

    Raises:
        NotMeasured: clean and corrupted differ in the target only.
    """
    if which is SourceToken.CHANGED:
        places = tuple(pair.first_changed for pair in prompts.pairs)
        for pair, at in zip(prompts.pairs, places, strict=True):
            if at >= subject.find_source(pair):
                raise NotMeasured("no_source", f"the source of prompt {pair.prompt.id} is the same in both runs.")
        return places
    rank = -2 if which is SourceToken.NEXT else -1
    return tuple(int(np.argsort(rows.mean((0, 1)), kind="stable")[rank]) for rows in attention)


def borrow_tokens(prompts: TokenisedPrompts, subject: CrossAttention, *, seed: int) -> TokenisedPrompts:
    """The prompts with another run of the pair: each source token is that of another prompt of the template, where one differs.

    Resampling one place of such a pair replaces that token alone, also where clean and corrupted agree.
    """
    rng = random.Random(seed)
    members: dict[tuple[str, int, int], list[TokenPair]] = {}
    for pair in prompts.pairs:
        members.setdefault(_shape(pair, subject), []).append(pair)
    found = []
    for pair in prompts.pairs:
        middle, ids = subject.find_source(pair), list(pair.clean_ids)
        others = members[_shape(pair, subject)]
        for at in range(middle):
            different = sorted({other.clean_ids[at] for other in others} - {ids[at]})
            ids[at] = rng.choice(different) if different else ids[at]
        found.append(replace(pair, corrupted_ids=tuple(ids)))
    return replace(prompts, pairs=tuple(found))


def list_changed_slots(pair: TokenPair, middle: int) -> tuple[int, ...]:
    """Places of the source at which the two runs of a pair differ."""
    return tuple(at for at in range(middle) if pair.clean_ids[at] != pair.corrupted_ids[at])


def _shape(pair: TokenPair, subject: CrossAttention) -> tuple[str, int, int]:
    return pair.prompt.template, subject.find_source(pair), len(pair.clean_ids)
