"""Effect of a slot's level: partial dependence, individual curves, accumulated local effects, and impossible combinations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audit_core.decisions.table import Floats

Rows = NDArray[np.int64]
Decide = Callable[[Rows], Floats]


def individual_curves(decide: Decide, rows: Rows, slot: int, n_levels: int) -> Floats:
    """Value of each row at each level of a slot (ICE); shape (row, level).

    Source: Goldstein et al. 2015, arXiv:1309.6392.
    """
    return np.stack([decide(_set(rows, slot, level)) for level in range(n_levels)], axis=1)


def partial_dependence(decide: Decide, rows: Rows, slot: int, n_levels: int) -> Floats:
    """Mean over rows of the individual curves; shape (level,).

    Source: Friedman 2001.
    """
    found: Floats = individual_curves(decide, rows, slot, n_levels).mean(0)
    return found


def accumulated_effects(decide: Decide, rows: Rows, slot: int, n_levels: int) -> tuple[Floats, Floats]:
    """Accumulated local effects of an ordered slot: steps between neighbouring levels, on rows at one of the two.

    Returns:
        The curve, 0 at the first level, shape (level,); and the rows behind each step, shape (level − 1,). A step without
        rows is NaN, and so is the curve after it.

    Source: Apley and Zhu 2020, arXiv:1612.08468.
    """
    steps, counts = [], []
    for level in range(1, n_levels):
        near = rows[(rows[:, slot] == level) | (rows[:, slot] == level - 1)]
        counts.append(len(near))
        steps.append(
            float((decide(_set(near, slot, level)) - decide(_set(near, slot, level - 1))).mean())
            if len(near)
            else np.nan
        )
    return np.concatenate([[0.0], np.cumsum(steps)]), np.array(counts, float)


class Support:
    """Which pairs of values occur together in the data."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        n = rows.shape[1]
        self.seen = {
            (a, b): set(map(tuple, np.unique(rows[:, [a, b]], axis=0).tolist()))
            for a in range(n)
            for b in range(a + 1, n)
        }

    def list_unseen(self, row: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        """Pairs of slots whose values occur together in no row of the data."""
        return tuple((a, b) for (a, b), seen in self.seen.items() if (row[a], row[b]) not in seen)

    def share_unseen(self, slot: int, n_levels: int) -> float:
        """Share of the rows of a partial dependence that hold a combination of two values without any applicant."""
        made = [tuple(row) for level in range(n_levels) for row in _set(self._rows, slot, level).tolist()]
        return float(np.mean([bool(self.list_unseen(row)) for row in made]))


def _set(rows: Rows, slot: int, level: int) -> Rows:
    changed = rows.copy()
    changed[:, slot] = level
    return changed
