"""LIME: a linear model of the answer near the prompt, fitted on prompts with some units replaced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from audit_core.capability import Capability
from audit_core.evidence.kind import Evidence
from audit_core.explanations.masks import choose_masks
from audit_core.explanations.method import Array, Scores, Task

WIDTH = 0.25
"""Of the kernel, in units of the cosine distance: the default of the authors' package for texts."""
RIDGE = 1e-3
"""Small enough that a linear model is found to three digits."""


def fit_linear(kept: np.ndarray, values: Array) -> tuple[Array, float]:
    """Weights of a ridge regression near the full set, and the share of variance that it does not fit.

    A set counts √exp(−d²/w²) with d = 1 − cos(set, all) = 1 − √(share kept).

    Args:
        kept: shape (mask, unit).
        values: shape (mask,).

    Source: Ribeiro, Singh and Guestrin 2016, arXiv:1602.04938; replaced tokens instead of deleted words.
    """
    distance = 1 - np.sqrt(kept.mean(1))
    mass = np.sqrt(np.exp(-(distance**2) / WIDTH**2))
    rows = np.column_stack([kept, np.ones(len(kept))]).astype(float)
    penalty = RIDGE * np.eye(rows.shape[1])
    penalty[-1, -1] = 0
    found: Array = np.linalg.solve(rows.T @ (rows * mass[:, None]) + penalty, rows.T @ (mass * values))
    left = values - rows @ found
    spread = values - np.average(values, weights=mass)
    missed = float(mass @ left**2 / (mass @ spread**2)) if mass @ spread**2 > 0 else 0.0
    return found[:-1], missed


@dataclass(frozen=True)
class Lime:
    """Weights of a local linear model; on the sets that Shapley values measure, so that it costs nothing beside them."""

    name: str = "lime"
    title: str = "LIME"
    question: str = "Which weights of a linear model describe the answer near this prompt best?"
    assumes: str = (
        "It assumes that the answer is nearly linear in which tokens are replaced; the check says how nearly."
    )
    costs: str = "The same forward passes as Shapley values."
    evidence: Evidence = Evidence.ESTIMATED
    is_signed: bool = True
    is_random: bool = True
    check: str = "share of variance not fitted"
    demands: tuple[Capability[Any], ...] = ()

    def score(self, task: Task, *, seed: int) -> Scores:
        kept = [choose_masks(len(units), seed=seed).kept for units in task.units]
        fits = [fit_linear(masks, values) for masks, values in zip(kept, task.measure(kept), strict=True)]
        return Scores(tuple(weights for weights, _ in fits), tuple(missed for _, missed in fits))


PLUGIN = Lime()
