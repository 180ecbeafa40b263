"""Units of a prompt that an explanation gives scores to: its tokens, or its words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import PromptRefused
from audit_core.prompts.prompt_set import TokenPair

FEWEST = 3
"""Fewer units have too few orders to compare one with."""


class UnitKind(StrEnum):
    """What counts as one unit."""

    TOKENS = "tokens"
    WORDS = "words"


@dataclass(frozen=True)
class Unit:
    """Adjacent tokens that are replaced together."""

    text: str
    positions: tuple[int, ...]


def split_units(pair: TokenPair, kind: UnitKind, *, start_id: int | None) -> tuple[Unit, ...]:
    """Units of the clean prompt, without the beginning-of-sequence token, which no text replaces.

    Args:
        start_id: the tokenizer's beginning-of-sequence token.

    Raises:
        PromptRefused: fewer than three units.
    """
    first = 1 if pair.clean_ids[0] == start_id else 0
    # A tokenizer of whole words writes no spaces: each of its tokens is a word.
    is_joined = kind is UnitKind.WORDS and any(" " in piece for piece in pair.pieces)
    spans: list[list[int]] = []
    for position in range(first, len(pair.clean_ids)):
        if spans and is_joined and not _begins_word(pair, position):
            spans[-1].append(position)
        else:
            spans.append([position])
    if len(spans) < FEWEST:
        raise PromptRefused(
            f"Prompt {pair.prompt.id[:60]} has {len(spans)} {kind.value}.",
            wanted=f"at least {FEWEST}, so that their order can be compared with random ones.",
            remedy="leave it out, or choose tokens as units.",
        )
    return tuple(Unit("".join(pair.pieces[at] for at in span), tuple(span)) for span in spans)


def pool_positions(values: NDArray, units: tuple[Unit, ...]) -> NDArray[np.float64]:
    """Sum of each unit's positions; shape (pos,) → (unit,)."""
    return np.array([values[list(unit.positions)].sum() for unit in units], float)


def _begins_word(pair: TokenPair, position: int) -> bool:
    piece, before = pair.pieces[position], pair.pieces[position - 1]
    return piece[:1].isspace() or before[-1:].isspace()
