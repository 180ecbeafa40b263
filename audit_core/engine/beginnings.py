"""Prompts that are the beginning of another prompt: read from the longer one's run, at their own last position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from audit_core.intervention import Intervention, Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts

if TYPE_CHECKING:
    import torch

_BY_POSITION = frozenset(
    {Replacement.RESAMPLE, Replacement.ZERO, Replacement.SCALE, Replacement.ADD, Replacement.SET, Replacement.IN_RANGE}
)
"""Replacements whose value at a position depends on no later position, and on no prompt length: means are kept by length,
and noise and permutations are drawn for a whole tensor."""


@dataclass(frozen=True, eq=False)
class Readings:
    """Where the logits of some prompts are read in the runs of one group of rows."""

    prompts: tuple[int, ...]
    rows: tuple[int, ...]
    """Per prompt, its row in the group."""
    back: tuple[int, ...]
    """Per prompt, how many positions before the row's last one."""

    @property
    def n_last(self) -> int:
        """How many last positions are read."""
        return 1 + max(self.back)

    def take(self, finals: torch.Tensor) -> torch.Tensor:
        """States that are read, shape (variant, prompt, width).

        Args:
            finals: states of rows after the last block, at their last positions; shape (variant, row, pos, width).
        """
        last = finals.shape[2] - 1
        return finals[:, list(self.rows), [last - back for back in self.back]]


def read_at_end(prompts: Sequence[int]) -> Readings:
    """Every prompt in a row of its own."""
    return Readings(tuple(prompts), tuple(range(len(prompts))), (0,) * len(prompts))


@dataclass(frozen=True, eq=False)
class MergedPrompts:
    """Prompts to run, and where each of the prompts that were asked for is read."""

    prompts: TokenisedPrompts
    places: tuple[tuple[int, int], ...]
    """Per prompt that was asked for: its row in `prompts`, and how many positions before that row's end it ends."""

    def find(self, rows: Sequence[int]) -> Readings:
        """What is read from these rows."""
        number = {row: at for at, row in enumerate(rows)}
        found = [(i, number[row], back) for i, (row, back) in enumerate(self.places) if row in number]
        prompts, where, back = zip(*found, strict=True)
        return Readings(prompts, where, back)


def keep_all(prompts: TokenisedPrompts) -> MergedPrompts:
    """Every prompt in a row of its own."""
    return MergedPrompts(prompts, tuple((at, 0) for at in range(len(prompts))))


def merge_beginnings(prompts: TokenisedPrompts, interventions: Sequence[Intervention]) -> MergedPrompts:
    """Leave out prompts whose clean and corrupted tokens both begin another prompt's, such as the prefixes of one answer.

    In a causal decoder nothing at a position depends on later tokens, so the longer run holds the shorter one. Only edits of all
    positions whose values do not depend on the length allow it; else every prompt stays.
    """
    edits = [edit for intervention in interventions for edit in intervention.edits]
    if any(e.replacement not in _BY_POSITION or (e.component.position, e.component.key) != (None, None) for e in edits):
        return keep_all(prompts)
    keys = [tuple(zip(pair.clean_ids, pair.corrupted_ids, strict=True)) for pair in prompts.pairs]
    # Sorted, what begins with a key follows it directly; the last of equal prompts is run, and the others are read from it.
    order = sorted(range(len(keys)), key=keys.__getitem__)
    longest: dict[int, int] = {}
    for at, following in zip(reversed(order), [None, *reversed(order)], strict=False):
        begins = following is not None and keys[following][: len(keys[at])] == keys[at]
        longest[at] = longest[following] if begins and following is not None else at
    kept = sorted(set(longest.values()))
    number = {row: at for at, row in enumerate(kept)}
    places = tuple((number[longest[at]], len(keys[longest[at]]) - len(key)) for at, key in enumerate(keys))
    return MergedPrompts(replace(prompts, pairs=tuple(prompts.pairs[row] for row in kept)), places)
