"""Corrections for multiple testing, and p-values against random draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from audit_core.errors import NotMeasured
from audit_core.stats.estimates import MIN_TEMPLATES


def adjust_p_values(values: NDArray, clusters: Sequence[str]) -> NDArray[np.float64]:
    """Benjamini–Hochberg-adjusted p-values of each component's effect against zero.

    Student's t over template means (prompts of one template are not independent), then Benjamini–Hochberg: of the
    components whose adjusted value is below 0.05, at most 5 % are expected to have no effect.

    Args:
        values: shape (component, prompt).

    Returns:
        Adjusted p-values, shape (component,).

    Raises:
        NotMeasured: fewer than `MIN_TEMPLATES` templates.

    Source: Benjamini and Hochberg 1995; `scipy.stats.false_discovery_control`.
    """
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(test_against_zero(values, clusters), method="bh"))


def adjust_for_any(values: NDArray, clusters: Sequence[str]) -> NDArray[np.float64]:
    """As `adjust_p_values`, by Holm's step-down: controls the family-wise error rate.

    Source: Holm 1979.
    """
    return adjust_by_holm(test_against_zero(values, clusters))


def adjust_by_holm(p: Sequence[float] | NDArray) -> NDArray[np.float64]:
    """Holm's adjusted p-values, in the order given.

    Source: Holm 1979.

    Example:
        >>> adjust_by_holm([0.04, 0.01, 0.03]).tolist()
        [0.06, 0.03, 0.06]
    """
    values = np.asarray(p, float)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1)), 1.0)
    return adjusted


def test_against_zero(values: NDArray, clusters: Sequence[str]) -> NDArray[np.float64]:
    """p-value of each component's effect against zero, not adjusted: Student's t over template means, two-sided.

    Args:
        values: shape (component, prompt).

    Returns:
        p-values, shape (component,).

    Raises:
        NotMeasured: fewer than `MIN_TEMPLATES` templates.
    """
    names, member = np.unique(np.asarray(clusters), return_inverse=True)
    if names.size < MIN_TEMPLATES:
        raise NotMeasured(
            "low_power",
            f"{names.size} template{'s' * (names.size != 1)}; {MIN_TEMPLATES} are needed to mark components.",
        )
    means = np.stack([np.asarray(values, float)[:, member == at].mean(1) for at in range(names.size)], axis=1)
    centre, spread = means.mean(1), means.std(1, ddof=1) / np.sqrt(names.size)
    # No spread: p is 1 for a zero effect, 0 otherwise.
    t = np.divide(np.abs(centre), spread, out=np.where(centre == 0, 0.0, np.inf), where=spread > 0)
    return np.asarray(2 * stdtr(names.size - 1, -t))


def rank_in_null(value: float, null: NDArray) -> float:
    """Permutation p-value: share of random sets with at least this effect, counting the set itself; at least 1 / (draws + 1).

    Args:
        value: size of the claim's effect.
        null: size of each random set's effect, shape (draw,).

    Source: Phipson and Smyth 2010, doi:10.2202/1544-6115.1585.
    """
    return float((1 + (np.asarray(null) >= value).sum()) / (np.size(null) + 1))


def step_down(holds_among: Sequence[int]) -> tuple[bool, ...]:
    """Which claims of one report remain decided after Holm's correction.

    Args:
        holds_among: per claim, the largest k for which its verdict stays the same at level α / k; 0 if it is inconclusive.

        Source: Holm 1979.
    """
    stands = [False] * len(holds_among)
    while True:
        left = stands.count(False)
        newly = [at for at, most in enumerate(holds_among) if not stands[at] and most >= left]
        if not newly:
            return tuple(stands)
        for at in newly:
            stands[at] = True
