"""Counterfactuals and anchors of one row of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from audit_core.decisions.anchors import Anchor, find_anchor
from audit_core.tabular.effects import Decide, Neighbours, make_grid, put
from audit_core.tabular.table import Feature, Floats

MOST, MOST_PAIRED, MOST_RULES = 4, 8, 6
"""Alternatives that are kept; features that are changed in pairs; features that a rule may name."""
QUARTERS = (0.25, 0.5, 0.75)


@dataclass(frozen=True, eq=False)
class Alternative:
    """A changed row with the other decision."""

    row: Floats
    changed: tuple[int, ...]
    distance: float
    """Sum over features of the change in median absolute deviations."""
    is_far: bool
    """Whether no row of the data is near it."""
    value: float


def find_alternatives(
    decide: Decide, row: Floats, rows: Floats, features: tuple[Feature, ...], near: Neighbours
) -> tuple[Alternative, ...]:
    """Rows with the other decision that change one feature or two, at most four, each another set of features.

    Every allowed change to a point of a feature's grid is run, and every pair of the eight features that act most. Rows near
    the data come first, then fewer and smaller changes.

    Source: Wachter, Mittelstadt and Russell 2018 (distance in median absolute deviations); Mothilal, Sharma and Tan 2020,
    arXiv:1905.07697 (diversity).
    """
    before = float(decide(row[None])[0])
    spread = np.median(np.abs(rows - np.median(rows, axis=0)), axis=0)
    scale = np.where(spread > 0, spread, np.where(rows.std(0) > 0, rows.std(0), 1.0))
    moves: list[Floats] = []
    for at, feature in enumerate(features):
        grid = make_grid(rows[:, at])
        moves.append(grid[feature.allows(np.full_like(grid, row[at]), grid) & (grid != row[at])])
    made: list[tuple[tuple[int, ...], Floats]] = [
        ((at,), put(row, at, value)) for at in range(len(row)) for value in moves[at]
    ]
    if not made:
        return ()
    single = decide(np.array([one for _, one in made]))
    reach = np.zeros(len(row))
    for (changed, _), value in zip(made, single, strict=True):
        reach[changed[0]] = max(reach[changed[0]], abs(value - before))
    most = [int(at) for at in np.argsort(-reach, kind="stable")[:MOST_PAIRED] if len(moves[at])]
    for first, second in combinations(sorted(most), 2):
        made += [
            ((first, second), put(put(row, first, a), second, b)) for a in moves[first] for b in moves[second]
        ]  # fmt: skip
    values = (
        np.concatenate([single, decide(np.array([one for _, one in made[len(single) :]]))])
        if len(made) > len(single)
        else single
    )
    turned = [at for at in range(len(made)) if (values[at] > 0) != (before > 0)]
    if not turned:
        return ()
    far = near.is_far(np.array([made[at][1] for at in turned]))
    found = [
        Alternative(
            made[at][1], made[at][0], float((np.abs(made[at][1] - row) / scale).sum()), bool(is_far), float(values[at])
        )
        for at, is_far in zip(turned, far, strict=True)
    ]
    found.sort(key=lambda one: (one.is_far, len(one.changed), one.distance))
    chosen: list[Alternative] = []
    for one in found:
        # A set of features that contains a chosen set says nothing new.
        if not any(set(kept.changed) <= set(one.changed) for kept in chosen):
            chosen.append(one)
    return tuple(chosen[:MOST])


def cut_quarters(rows: Floats) -> list[Floats]:
    """Edges of each feature's quarters; a feature with few values has fewer edges."""
    return [np.unique(np.quantile(rows[:, at], QUARTERS)) for at in range(rows.shape[1])]


def find_quarter(edges: list[Floats], rows: Floats) -> NDArray[np.int64]:
    """Quarter of each value; shape (..., feature)."""
    return np.stack([np.searchsorted(own, rows[..., at], side="left") for at, own in enumerate(edges)], axis=-1)


def name_quarter(edges: Floats, quarter: int) -> str:
    """Bounds of a quarter, such as `≤ 3` or `3 to 5`."""
    if quarter == 0:
        return f"≤ {edges[0]:.4g}"
    if quarter == len(edges):
        return f"> {edges[-1]:.4g}"
    return f"{edges[quarter - 1]:.4g} to {edges[quarter]:.4g}"


def find_row_anchor(
    decide: Decide, row: Floats, rows: Floats, edges: list[Floats], order: Floats
) -> tuple[Anchor, tuple[int, ...]]:
    """The smallest rule `these features are in this row's quarters` that keeps its decision, with the features it names.

    Other rows are brought under a rule: a value outside the quarter is replaced by the row's own. Every other row chooses
    the rule and the rest measure it.

    Args:
        order: size of each feature's local score; the six largest may be in a rule.

    Raises:
        NotMeasured: a half has fewer than 20 rows.
    """
    able = [int(at) for at in np.argsort(-order, kind="stable")[:MOST_RULES]]
    quarters = find_quarter(edges, rows)[:, able]
    own = find_quarter(edges, row)[able]
    # The last column says which row it is: a rule changes quarters, and the numbers behind them are found again by it.
    marked = np.column_stack([quarters, np.arange(len(rows))])

    def decide_quarters(asked: NDArray[np.int64]) -> Floats:
        if asked.shape[1] == len(able):
            return decide(np.repeat(row[None], len(asked), axis=0))
        made = rows[asked[:, -1]].copy()
        for place, at in enumerate(able):
            is_moved = asked[:, place] != quarters[asked[:, -1], place]
            made[is_moved, at] = row[at]
        return decide(made)

    found = find_anchor(decide_quarters, tuple(map(int, own)), marked[::2], marked[1::2])
    return found, tuple(able[at] for at in found.slots)
