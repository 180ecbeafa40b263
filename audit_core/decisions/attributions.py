"""Importance of slots for decisions: exact Shapley values, permutation importance, LIME. Read off the table of all combinations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import factorial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audit_core.decisions.table import DecisionTable, Floats
from audit_core.errors import ControlFailed, Refused

Rows = NDArray[np.int64]
EFFICIENCY = 1e-6
MOST_EXACT = 10
BACKGROUND = 100
"""Applicants whose values replace slots that are left out."""
LIME_SETS, LIME_SEEDS, LIME_RIDGE = 100, 10, 1e-3


class Readable(Protocol):
    """A table of all combinations, or a model of numbers."""

    def read(self, rows: NDArray[Any]) -> Floats:
        """Values of rows; shape (..., slot) → (...)."""


def shapley(value: Callable[[frozenset[int]], float], n: int) -> Floats:
    """Exact Shapley values of a game of n players, from all 2^n coalitions.

    φ_i = Σ_S |S|! (n − |S| − 1)! / n! · (v(S ∪ i) − v(S))

    Raises:
        Refused: more than 10 players.
        ControlFailed: the values do not add up to v(all) − v(none) within 1e-6.

    Source: Shapley 1953; Lundberg and Lee 2017, arXiv:1705.07874.
    """
    if not 1 <= n <= MOST_EXACT:
        raise Refused(f"{n} slots.", wanted=f"1 to {MOST_EXACT}.", remedy="leave slots out.")
    worth = {
        frozenset(chosen): value(frozenset(chosen)) for size in range(n + 1) for chosen in combinations(range(n), size)
    }
    found = np.zeros(n)
    for chosen, own in worth.items():
        weight = factorial(len(chosen)) * factorial(n - len(chosen) - 1) / factorial(n) if len(chosen) < n else 0.0
        for player in set(range(n)) - chosen:
            found[player] += weight * (worth[chosen | {player}] - own)
    gap = abs(found.sum() - (worth[frozenset(range(n))] - worth[frozenset()]))
    if gap > EFFICIENCY:
        raise ControlFailed(f"Shapley values miss the change they divide by {gap:.2g}.")
    return found


def shapley_of_row(table: DecisionTable, row: tuple[int, ...], background: Rows) -> Floats:
    """Exact Shapley values of the slots of one applicant, in logits; slots outside a set come from other applicants."""

    def value(kept: frozenset[int]) -> float:
        return float(table.read(_mix(row, background, kept)).mean())

    return shapley(value, len(row))


def _mix(row: tuple[int, ...], background: Rows, kept: frozenset[int]) -> Rows:
    mixed = background.copy()
    for slot in kept:
        mixed[:, slot] = row[slot]
    return mixed


def permutation_importance(
    decisions: Callable[[NDArray[Any]], Floats], rows: NDArray[Any], slot: int, *, seed: int
) -> Floats:
    """Change of each row's value when its slot comes from another row: absolute, per row; shape (row,).

    Source: Breiman 2001; Fisher, Rudin and Dominici 2019, arXiv:1801.01489.
    """
    # Every other row once, in a random cycle: no row keeps its own value by chance.
    order = np.random.default_rng(seed).permutation(len(rows))
    changed = rows.copy()
    changed[order, slot] = rows[np.roll(order, 1), slot]
    found: Floats = np.abs(decisions(changed) - decisions(rows))
    return found


def lime(table: Readable, row: Sequence[float], background: NDArray[Any], *, seed: int) -> Floats:
    """Weights of a ridge regression on random sets of kept slots, in logits.

    Source: Ribeiro, Singh and Guestrin 2016, arXiv:1602.04938, with replacement by other applicants in place of removal.
    """
    draw = np.random.default_rng(seed)
    kept = draw.random((LIME_SETS, len(row))) < 0.5
    others = background[draw.integers(len(background), size=LIME_SETS)]
    values = table.read(np.where(kept, np.asarray(row), others))
    # Sets near the whole applicant count more.
    weights = np.exp(-((1 - kept.mean(1)) ** 2) / 0.25)
    design = np.column_stack([np.ones(LIME_SETS), kept])
    scaled = design * weights[:, None]
    penalty = LIME_RIDGE * np.eye(design.shape[1])
    found: Floats = np.linalg.solve(design.T @ scaled + penalty, scaled.T @ values)[1:]
    return found


def lime_spread(table: Readable, row: Sequence[float], background: NDArray[Any], *, seed: int) -> tuple[Floats, Floats]:
    """Mean and standard deviation of LIME's weights over seeds."""
    found = np.array([lime(table, row, background, seed=seed + at) for at in range(LIME_SEEDS)])
    return found.mean(0), found.std(0, ddof=1)
