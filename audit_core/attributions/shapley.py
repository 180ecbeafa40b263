"""Shapley values of units: exact for few, by a weighted regression on sampled sets for many."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np

from audit_core.capability import Capability
from audit_core.evidence.kind import Evidence
from audit_core.explanations.masks import MOST_EXACT, SAMPLES, choose_masks
from audit_core.explanations.method import Array, Scores, Task


def compute_shapley(values: Array) -> Array:
    """φ_j = Σ over sets S without j of |S|! (n − |S| − 1)! / n! · (v(S ∪ j) − v(S)); shape (unit,).

    Args:
        values: of every set, in the order of its number in binary, unit 0 as the last digit; shape (2^unit,).

    Source: Shapley 1953.

    Example:
        >>> compute_shapley(np.array([0.10, 0.30, 0.05, 0.32])).round(3).tolist()
        [0.235, -0.015]
    """
    n = int(values.size).bit_length() - 1
    sets = np.arange(values.size)
    sizes = np.array([int(each).bit_count() for each in sets])
    weights = np.array([1 / (n * comb(n - 1, size)) for size in range(n)])
    found = []
    for unit in range(n):
        without = sets[(sets >> unit) % 2 == 0]
        found.append(float(weights[sizes[without]] @ (values[without | (1 << unit)] - values[without])))
    return np.array(found)


def fit_shapley(kept: np.ndarray, values: Array, weights: Array) -> Array:
    """Weighted least squares of the values on the sets, with the sum fixed to v(all) − v(none); shape (unit,).

    Args:
        kept: shape (mask, unit); the first mask is empty, the second full.
        weights: shape (mask,); those of the first two are not used.

    Source: Lundberg and Lee 2017, arXiv:1705.07874, equation 8.
    """
    total = values[1] - values[0]
    rows, heights, mass = kept[2:].astype(float), values[2:] - values[0], weights[2:]
    inverse = np.linalg.pinv(rows.T @ (rows * mass[:, None]))
    free = inverse @ (rows.T @ (mass * heights))
    step = inverse.sum(1)
    found: Array = free - step * (free.sum() - total) / step.sum()
    return found


@dataclass(frozen=True)
class Shapley:
    """Mean over all orders of what a unit adds; the sum is the change from all units replaced to none, exactly."""

    name: str = "shapley"
    title: str = "Shapley values"
    question: str = "What does each token add to the answer, averaged over all orders of putting tokens back?"
    assumes: str = (
        "It assumes that inputs with any set of tokens replaced mean something. A token that acts only with another shares "
        "its effect equally."
    )
    costs: str = f"2^units forward passes up to {MOST_EXACT} units, about {SAMPLES} beyond."
    evidence: Evidence = Evidence.ESTIMATED
    is_signed: bool = True
    is_random: bool = True
    check: str = "efficiency error"
    demands: tuple[Capability[Any], ...] = ()

    def score(self, task: Task, *, seed: int) -> Scores:
        masks = [choose_masks(len(units), seed=seed) for units in task.units]
        found, errors, missed = [], [], []
        for chosen, values in zip(masks, task.measure([each.kept for each in masks]), strict=True):
            exact = chosen.is_complete
            shares = compute_shapley(values) if exact else fit_shapley(chosen.kept, values, chosen.weights)
            total = values[-1] - values[0] if exact else values[1] - values[0]
            found.append(shares)
            errors.append(abs(float(shares.sum() - total)))
            missed.append(errors[-1] / max(abs(float(total)), 1e-9))
        return Scores(tuple(found), tuple(errors), tuple(missed))


PLUGIN = Shapley()
