"""Local stability: how far scores move when a prompt changes in one unit and its answer hardly does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit_core.explanations.method import Array, Scores, Task

MOST_CHANGE = 0.1
"""Largest change of the answer at which a changed prompt is a neighbour, as a fraction of the mean gap (design: explanations 2.2)."""
NEIGHBOURS = 2
"""Of each prompt, at most."""
UNIT = "of the scores' length"


@dataclass(frozen=True, eq=False)
class Nearby:
    """Neighbours of some prompts, and the scores that methods give them."""

    task: Task
    """The neighbours, as prompts."""
    origins: tuple[int, ...]
    """Per neighbour, the row of its prompt."""
    changed: tuple[int, ...]
    """Per neighbour, which of its units was replaced."""
    scores: Mapping[str, Scores]


def find_neighbours(
    task: Task, judged: Task, *, most: float, n_prompts: int
) -> tuple[Task, tuple[int, ...], tuple[int, ...]]:
    """Prompts with one unit replaced that keep their answer, those that change it least first.

    Args:
        task: what the methods were given; what replaces the other units stays the same.
        judged: the same prompts with the other tokens that replace a unit here.
        most: largest change of the answer, in logits.
        n_prompts: prompts whose neighbours are taken, at most, spread over templates.

    Returns:
        The neighbours as a task, and per neighbour its prompt's row and the replaced unit.
    """
    kept = [np.concatenate([np.ones((1, n), bool), ~np.eye(n, dtype=bool)]) for n in map(len, task.units)]
    near: dict[int, list[int]] = {}
    for at, values in enumerate(judged.measure(kept)):
        moved = np.abs(values[1:] - values[0])
        few = [int(unit) for unit in np.argsort(moved, kind="stable")[:NEIGHBOURS] if moved[unit] <= most]
        near |= {at: few} if few else {}
    there = list(near)
    chosen = [there[at] for at in task.prompts.take(there).spread(n_prompts)]
    rows = [at for at in chosen for _ in near[at]]
    changed = [unit for at in chosen for unit in near[at]]
    if not rows:
        return task, (), ()
    found = task.take(rows)
    return _put(found, judged.take(rows), changed), tuple(rows), tuple(changed)


def _put(found: Task, judged: Task, changed: Sequence[int]) -> Task:
    """Each prompt with one unit replaced; where that unit is left out again, its own tokens come back."""
    pairs, donors = [], []
    for pair, units, donor, other, unit in zip(
        found.prompts.pairs, found.units, found.donors, judged.donors, changed, strict=True
    ):
        ids, back = list(pair.clean_ids), list(donor)
        for at in units[unit].positions:
            ids[at], back[at] = other[at], pair.clean_ids[at]
        # A pair needs another run that differs; the prompt itself does.
        pairs.append(replace(pair, clean_ids=tuple(ids), corrupted_ids=pair.clean_ids))
        donors.append(tuple(back))
    return replace(found, prompts=replace(found.prompts, pairs=tuple(pairs)), donors=tuple(donors))


def measure_shift(before: Array, after: Array, changed: int) -> float | None:
    """‖s(x) − s(x′)‖ / ‖s(x)‖ over the units that x and x′ share; None where all scores of x are zero.

    x′ is one replaced unit away from x, so that this is the quotient whose largest value is the local Lipschitz constant.

    Source: Alvarez-Melis and Jaakkola 2018, arXiv:1806.08049, equation 3, on a discrete neighbourhood.

    Example:
        >>> measure_shift(np.array([3.0, 4.0, 9.0]), np.array([3.0, -1.0, 0.0]), changed=2)
        1.0
    """
    shared = np.arange(len(before)) != changed
    length = float(np.linalg.norm(before[shared]))
    return float(np.linalg.norm((before - after)[shared])) / length if length else None


def read_shifts(found: Nearby, name: str, scores: Scores, n: int) -> Array:
    """The largest shift over each prompt's neighbours; shape (prompt,), NaN where none is known."""
    worst = np.full(n, np.nan)
    if name not in found.scores:
        return worst
    for at, (row, changed) in enumerate(zip(found.origins, found.changed, strict=True)):
        before, after = scores.values[row], found.scores[name].values[at]
        shift = None if before is None or after is None else measure_shift(before, after, changed)
        if shift is not None:
            worst[row] = np.nanmax([worst[row], shift])
    return worst
