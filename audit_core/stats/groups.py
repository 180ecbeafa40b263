"""Ratios per group of prompts, with simultaneous intervals, and differences between two sets of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from audit_core.stats.bootstrap import draw_weights, expanded_tail
from audit_core.stats.estimates import LEVEL, Estimate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GroupEstimates:
    """A ratio of means in each group."""

    names: tuple[str, ...]
    estimates: tuple[Estimate, ...]
    """Shape (group,); the intervals are simultaneous."""
    untested: tuple[str, ...]
    """Groups whose gap is too small to take a fraction of."""

    @property
    def worst(self) -> int | None:
        """Index of the lowest; None without groups."""
        return int(np.argmin([estimate.value for estimate in self.estimates])) if self.estimates else None


def estimate_groups(
    numerator: Array,
    denominator: Array,
    groups: Sequence[str],
    *,
    unit: str,
    min_gap: float,
    level: float = LEVEL,
) -> GroupEstimates:
    """A ratio of means in each group, with an interval from the spread of that group's prompts.

    The lowest of k groups is low by chance too: each interval has level 1 − (1 − level) / k (Bonferroni).
        r ± t √(Σ e² / (n (n − 1))) / mean(denominator), with e = numerator − r · denominator.

        Args:
            numerator, denominator: shape (prompt,).
            groups: group of each prompt, shape (prompt,).
            min_gap: minimum mean of the denominator.

        Returns:
            Estimates; groups of one prompt have no interval.

        Source: Cochran 1977, Sampling Techniques, section 2.11 (variance of a ratio); Bonferroni.
    """
    member = np.asarray(groups)
    names, untested, estimates = [], [], []
    tested = [name for name in dict.fromkeys(groups) if denominator[member == name].mean() >= min_gap]
    for name in dict.fromkeys(groups):
        if name not in tested:
            untested.append(name)
            continue
        top, bottom = numerator[member == name], denominator[member == name]
        names.append(name)
        estimates.append(_estimate_ratio(top, bottom, unit, 1 - (1 - level) / len(tested)))
    return GroupEstimates(tuple(names), tuple(estimates), tuple(untested))


def _estimate_ratio(numerator: Array, denominator: Array, unit: str, level: float) -> Estimate:
    n, ratio = len(numerator), float(numerator.mean() / denominator.mean())
    if n < 2:
        return Estimate(ratio, None, None, n, unit, None)
    spread = numerator - ratio * denominator
    error = float(np.sqrt((spread**2).sum() / (n * (n - 1))) / abs(denominator.mean()))
    reach = float(-stdtrit(n - 1, (1 - level) / 2)) * error
    return Estimate(ratio, ratio - reach, ratio + reach, n, unit, level)


def estimate_within(
    numerator: Array, denominator: Array, groups: Sequence[str], *, unit: str, level: float = LEVEL
) -> Estimate:
    """A ratio of means for exactly these groups: the interval counts the spread within them and not between them.

        r ± t √(Σ over groups of n / (n − 1) Σ (e − mean e)²) / Σ denominator, with e = numerator − r · denominator.

    Args:
        numerator, denominator: shape (prompt,).
        groups: group of each prompt, shape (prompt,).

    Returns:
        Estimate without an interval if a group has only one prompt.

    Source: Cochran 1977, Sampling Techniques, section 6.11 (combined ratio estimate in stratified sampling).
    """
    n, ratio = len(numerator), float(numerator.sum() / denominator.sum())
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    sizes = np.bincount(member)
    if sizes.min() < 2:
        return Estimate(ratio, None, None, n, unit, None)
    left = numerator - ratio * denominator
    left = left - (np.bincount(member, left) / sizes)[member]
    squares = (np.bincount(member, left**2) * sizes / (sizes - 1)).sum()
    reach = float(-stdtrit(n - len(names), (1 - level) / 2) * np.sqrt(squares) / abs(denominator.sum()))
    return Estimate(ratio, ratio - reach, ratio + reach, n, unit, level)


@dataclass(frozen=True, eq=False)
class Ratio:
    """Numerator and denominator of a ratio of means on one set of prompts."""

    numerator: Array
    """Shape (prompt,)."""
    denominator: Array
    """Shape (prompt,)."""
    clusters: tuple[str, ...]


def contrast_ratios(first: Ratio, second: Ratio, *, unit: str, seed: int, level: float = LEVEL) -> Estimate:
    """First ratio minus second, on two independent sets of prompts.

    Returns:
        Estimate; n counts the prompts of both; the interval is widened as for the set with fewer templates; no interval
        if either set has one template.

    Source: Efron & Tibshirani 1993, chapter 8 (two-sample bootstrap); Hesterberg 2015, arXiv:1411.5279.
    """
    value = _take(first) - _take(second)
    n = len(first.numerator) + len(second.numerator)
    draws = [_draw_ratios(ratio, seed=seed + at) for at, ratio in enumerate((first, second))]
    if draws[0] is None or draws[1] is None:
        return Estimate(value, None, None, n, unit, None)
    difference = draws[0] - draws[1]
    fewest = min(len(set(first.clusters)), len(set(second.clusters)))
    tail = expanded_tail(fewest, level)
    low, high = np.quantile(difference[np.isfinite(difference)], [tail, 1 - tail])
    return Estimate(
        value, float(low), float(high), n, unit, level, len(set(first.clusters)) + len(set(second.clusters))
    )


def _draw_ratios(ratio: Ratio, *, seed: int) -> Array | None:
    weights = draw_weights(ratio.clusters, seed=seed)
    return None if weights is None else (weights @ ratio.numerator) / (weights @ ratio.denominator)


def _take(ratio: Ratio) -> float:
    return float(ratio.numerator.mean() / ratio.denominator.mean())
