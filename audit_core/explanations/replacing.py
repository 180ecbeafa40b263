"""Inputs without some units: replaced by tokens of other prompts at the same length, or removed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import PromptRefused
from audit_core.explanations.units import Unit
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair


class Without(StrEnum):
    """How a prompt is read without some of its units."""

    REPLACED = "replaced"
    """Same length: a token of another prompt at each place."""
    REMOVED = "removed"
    """Shorter: every later token moves."""


def draw_donors(prompts: TokenisedPrompts, pool: TokenisedPrompts, *, seed: int) -> tuple[Tokens, ...]:
    """Another token for every position of every clean prompt, at the same length.

    It is a token of another prompt of the same template and length at that place, where one differs; else of any prompt of
    that length there; else of any prompt anywhere. So every place really changes, also one that the template fixes.

    Raises:
        PromptRefused: all prompts together have one token.
    """
    rows = [pair.clean_ids for pair in pool.pairs]
    everywhere = sorted({token for row in rows for token in row[1:]})
    same: dict[tuple[str, int], list[Tokens]] = {}
    for pair, template in zip(pool.pairs, pool.templates, strict=True):
        same.setdefault((template, len(pair.clean_ids)), []).append(pair.clean_ids)
        same.setdefault(("", len(pair.clean_ids)), []).append(pair.clean_ids)
    found = []
    for pair, template in zip(prompts.pairs, prompts.templates, strict=True):
        rng, length = random.Random(f"{seed} {pair.prompt.id}"), len(pair.clean_ids)
        found.append(
            tuple(
                _draw_token(
                    rng, token, at, same.get((template, length), []), same.get(("", length), []), everywhere
                )
                for at, token in enumerate(pair.clean_ids)
            )
        )  # fmt: skip
    return tuple(found)


def _draw_token(
    rng: random.Random, token: int, at: int, kin: Sequence[Tokens], others: Sequence[Tokens], everywhere: Sequence[int]
) -> int:
    for choices in ({row[at] for row in kin}, {row[at] for row in others}, set(everywhere)):
        if different := sorted(choices - {token}):
            return rng.choice(different)
    raise PromptRefused(
        "All tokens of these prompts are equal.",
        wanted="prompts with different tokens, so that one can replace another.",
        remedy="choose a prompt set with more texts.",
    )


Edit = Callable[[TokenPair, tuple[Unit, ...], Tokens, NDArray[np.bool_]], Tokens]
"""The input of a prompt with some units kept; arguments: the prompt, its units, its donor, which units are kept."""


def replace_units(pair: TokenPair, units: tuple[Unit, ...], donor: Tokens, kept: NDArray[np.bool_]) -> Tokens:
    """The prompt with the donor's tokens where a unit is not kept."""
    ids = list(pair.clean_ids)
    for unit, is_kept in zip(units, kept, strict=True):
        if not is_kept:
            for at in unit.positions:
                ids[at] = donor[at]
    return tuple(ids)


def remove_units(pair: TokenPair, units: tuple[Unit, ...], donor: Tokens, kept: NDArray[np.bool_]) -> Tokens:
    """The prompt without the tokens of units that are not kept."""
    gone = {at for unit, is_kept in zip(units, kept, strict=True) if not is_kept for at in unit.positions}
    return tuple(token for at, token in enumerate(pair.clean_ids) if at not in gone)


EDITS: dict[Without, Edit] = {Without.REPLACED: replace_units, Without.REMOVED: remove_units}
