"""What changing a feature does to the model: shifts, curves, accumulated effects, permutation, and rows far from all data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audit_core.tabular.table import Floats

Decide = Callable[[Floats], Floats]
LOW, HIGH = 0.1, 0.9
"""Quantiles between which a feature is moved."""
GRID = 9
"""Most points of a curve: quantiles of the feature, or its values where it has fewer."""
FAR = 0.99
"""A row is far from all data if its nearest neighbour is farther than this quantile of distances within the data (design: 3.9)."""
REPEATS = 20


def put(rows: Floats, feature: int, value: float | Floats) -> Floats:
    """Rows with one feature set."""
    changed = rows.copy()
    changed[..., feature] = value
    return changed


def make_grid(values: Floats) -> Floats:
    """Ascending points from the 5th to the 95th percentile of a feature, or its few values; shape (point,)."""
    few = np.unique(values)
    return few if len(few) <= GRID else np.unique(np.quantile(values, np.linspace(0.05, 0.95, GRID)))


def individual_curves(decide: Decide, rows: Floats, feature: int, grid: Floats) -> Floats:
    """Value of each row at each point of the grid (ICE); their mean is the partial dependence; shape (row, point).

    Source: Goldstein et al. 2015, arXiv:1309.6392; Friedman 2001.
    """
    made = np.stack([put(rows, feature, value) for value in grid], axis=1)
    return decide(made)


def accumulated_effects(decide: Decide, rows: Floats, feature: int, grid: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Accumulated local effects: within each interval, rows are moved from one end to the other.

    Returns:
        The curve, 0 at the first point, shape (point,); and the rows behind each step, shape (point − 1,). A step without
        rows is NaN, and so is the curve after it. Rows beyond the ends of the grid belong to the outer intervals.

    Source: Apley and Zhu 2020, arXiv:1612.08468.
    """
    place = np.clip(np.searchsorted(grid, rows[:, feature], side="left") - 1, 0, len(grid) - 2)
    steps, counts = [], []
    for at in range(len(grid) - 1):
        near = rows[place == at]
        counts.append(len(near))
        moved = decide(put(near, feature, grid[at + 1])) - decide(put(near, feature, grid[at])) if len(near) else None
        steps.append(np.nan if moved is None else float(moved.mean()))
    return np.concatenate([[0.0], np.cumsum(steps)]), np.array(counts)


def permuted_losses(
    decide: Decide, rows: Floats, feature: int, outcomes: NDArray[np.bool_], before: Floats, *, seed: int
) -> Floats:
    """Rise of each row's log loss when the feature comes from other rows, mean over 20 permutations; in nats, shape (row,).

    Source: Breiman 2001; Fisher, Rudin and Dominici 2019, arXiv:1801.01489.
    """
    draw = np.random.default_rng([seed, feature])
    made = np.stack([put(rows, feature, draw.permutation(rows[:, feature])) for _ in range(REPEATS)])
    sign = np.where(outcomes, 1.0, -1.0)
    found: Floats = (np.logaddexp(0, -sign * decide(made)) - np.logaddexp(0, -sign * before)).mean(0)
    return found


class Neighbours:
    """How far a row is from all rows of the data, in standard deviations of each feature."""

    def __init__(self, rows: Floats) -> None:
        spread = rows.std(0)
        self._scale = np.where(spread > 0, spread, 1.0)
        self._rows = rows / self._scale
        within = self._measure(self._rows)
        np.fill_diagonal(within, np.inf)
        self.limit = float(np.quantile(np.sqrt(within.min(1)), FAR))

    def is_far(self, rows: Floats) -> NDArray[np.bool_]:
        """Whether each row is farther from the data than the data's rows are from each other; shape (..., feature) → (...)."""
        flat = rows.reshape(-1, rows.shape[-1]) / self._scale
        # In parts: the distances of all rows at once may not fit in memory.
        parts = [self._measure(part).min(1) for part in np.array_split(flat, max(1, len(flat) // 2_000))]
        far: NDArray[np.bool_] = np.sqrt(np.concatenate(parts)) > self.limit + 1e-9
        return far.reshape(rows.shape[:-1])

    def _measure(self, flat: Floats) -> Floats:
        squared = (flat**2).sum(1)[:, None] + (self._rows**2).sum(1) - 2 * flat @ self._rows.T
        found: Floats = np.maximum(squared, 0)
        return found
