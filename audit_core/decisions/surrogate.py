"""Global surrogates: a sum of weights per level, and a short tree. Their numbers describe the surrogate, not the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.decisions.slots import Slot
from audit_core.decisions.table import Floats
from audit_core.stats.estimates import Estimate
from audit_core.stats.shares import wilson

Rows = NDArray[np.int64]
DEPTH, _LEAST = 3, 5


@dataclass(frozen=True)
class Fidelity:
    """How a surrogate does on applicants that it was not fitted on."""

    same: Estimate
    """Share of applicants with the same decision."""
    variance: float | None
    """Share of the variance of the model's preference that it reproduces (R²); None where the preference has none."""


@dataclass(frozen=True)
class Additive:
    """Weights of a least-squares fit of the preference: one a level."""

    intercept: float
    weights: tuple[tuple[float, ...], ...]
    """Per slot and level, in logits; the first level has 0."""

    def predict(self, rows: Rows) -> Floats:
        return self.intercept + np.sum(
            [np.asarray(own)[rows[:, slot]] for slot, own in enumerate(self.weights)], axis=0
        )  # fmt: skip


def fit_additive(rows: Rows, values: Floats, slots: tuple[Slot, ...]) -> Additive:
    """Least squares on the levels; the shortest solution where levels cannot be distinguished."""
    columns = [rows[:, at] == level for at, slot in enumerate(slots) for level in range(1, len(slot.levels))]
    design = np.column_stack([np.ones(len(rows)), *columns]).astype(float)
    intercept, *found = np.linalg.lstsq(design, values, rcond=None)[0]
    weights, at = [], 0
    for slot in slots:
        n = len(slot.levels) - 1
        weights.append((0.0, *map(float, found[at : at + n])))
        at += n
    return Additive(float(intercept), tuple(weights))


@dataclass(frozen=True)
class Tree:
    """A binary tree: a question about one slot, or a mean."""

    value: float
    slot: int | None = None
    level: int = 0
    is_ordered: bool = True
    yes: Tree | None = None
    no: Tree | None = None

    def predict(self, rows: Rows) -> Floats:
        if self.slot is None or self.yes is None or self.no is None:
            return np.full(len(rows), self.value)
        holds = _ask(rows, self.slot, self.level, self.is_ordered)
        return np.where(holds, self.yes.predict(rows), self.no.predict(rows))

    def list_rules(self, slots: tuple[Slot, ...], before: tuple[str, ...] = ()) -> tuple[tuple[str, float], ...]:
        """Each leaf as the conditions that lead to it, and its mean."""
        if self.slot is None or self.yes is None or self.no is None:
            return ((" and ".join(before) or "always", self.value),)
        slot = slots[self.slot]
        word, other = ("at most", "above") if self.is_ordered else ("is", "is not")
        own, left = (f"{slot.name} {each} {slot.levels[self.level]}" for each in (word, other))
        return (*self.yes.list_rules(slots, (*before, own)), *self.no.list_rules(slots, (*before, left)))


def fit_tree(rows: Rows, values: Floats, slots: tuple[Slot, ...], depth: int = DEPTH) -> Tree:
    """Regression tree: the question with the least squared error at each step.

    Source: Breiman et al. 1984.
    """
    mean = float(values.mean())
    best: tuple[float, int, int] | None = None
    for at, slot in enumerate(slots):
        for level in range(len(slot.levels) - slot.is_ordered):
            holds = _ask(rows, at, level, slot.is_ordered)
            if depth and min(holds.sum(), (~holds).sum()) >= _LEAST:
                error = sum(float(((part - part.mean()) ** 2).sum()) for part in (values[holds], values[~holds]))
                best = min(best or (np.inf, 0, 0), (error, at, level))
    if best is None or float(((values - mean) ** 2).sum()) - best[0] < 1e-9:
        return Tree(mean)
    _, at, level = best
    holds = _ask(rows, at, level, slots[at].is_ordered)
    yes, no = (fit_tree(rows[part], values[part], slots, depth - 1) for part in (holds, ~holds))
    return Tree(mean, at, level, slots[at].is_ordered, yes, no)


def check_fidelity(surrogate: Additive | Tree, rows: Rows, values: Floats) -> Fidelity:
    """Fidelity on applicants that the surrogate did not see."""
    predicted = surrogate.predict(rows)
    same = int(((predicted > 0) == (values > 0)).sum())
    spread = float(((values - values.mean()) ** 2).sum())
    return Fidelity(
        wilson(same, len(rows), "same decision"),
        1 - float(((values - predicted) ** 2).sum()) / spread if spread else None,
    )


def _ask(rows: Rows, slot: int, level: int, is_ordered: bool) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = rows[:, slot] <= level if is_ordered else rows[:, slot] == level
    return found
