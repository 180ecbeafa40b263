"""Shares of counted cases, with their interval."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import NotMeasured
from audit_core.stats.estimates import LEVEL, Estimate


def wilson(hits: int, n: int, unit: str = "share of samples") -> Estimate:
    """A share with Wilson's interval.

    Raises:
        NotMeasured: no case.

    Source: Wilson 1927; `scipy.stats.binomtest`.
    """
    from scipy.stats import binomtest

    if not n:
        raise NotMeasured("low_power", "no sample of this kind.")
    interval = binomtest(hits, n).proportion_ci(LEVEL, method="wilson")
    return Estimate(hits / n, float(interval.low), float(interval.high), n, unit, LEVEL)


def share_of(hits: int, n: int, unit: str) -> Estimate:
    """A share with Wilson's interval; without one for a single case. Raises as `wilson`."""
    return Estimate(float(hits), None, None, 1, unit, None) if n == 1 else wilson(hits, n, unit)


def share_by_cluster(hits: Sequence[bool], clusters: Sequence[str], unit: str = "share of samples") -> Estimate:
    """A share of cases that come in clusters, with Wilson's interval at the effective number of cases.

    That number is n over the design effect, the variance of the share over clusters divided by that of independent cases, times
    (z / t)² at clusters − 1 degrees of freedom. It is never above n. Where all cases agree no spread shows, and each cluster
    counts as one case.

    Args:
        hits: shape (case,).
        clusters: of each case, shape (case,).

    Raises:
        NotMeasured: fewer than two clusters.

    Source: Kish 1965, Survey Sampling; Korn and Graubard 1998, Survey Methodology 24, there with Clopper and Pearson's interval.
    """
    from scipy.stats import norm, t

    values, names = np.asarray(hits, dtype=float), sorted(set(clusters))
    n, n_clusters = len(values), len(names)
    if n_clusters < 2:
        raise NotMeasured("low_power", "cases of fewer than two clusters.")
    share = float(values.mean())
    z, reach = float(norm.ppf((1 + LEVEL) / 2)), float(t.ppf((1 + LEVEL) / 2, n_clusters - 1))
    effective = float(n_clusters)
    if 0 < share < 1:
        totals = np.array([(values - share)[[c == name for c in clusters]].sum() for name in names])
        variance = n_clusters / (n_clusters - 1) * float((totals**2).sum()) / n**2
        independent = share * (1 - share) / n
        effective = n / max(1.0, variance / independent) * (z / reach) ** 2
    centre = (share + z**2 / (2 * effective)) / (1 + z**2 / effective)
    half = z / (1 + z**2 / effective) * sqrt(share * (1 - share) / effective + z**2 / (4 * effective**2))
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half), n, unit, LEVEL, n_clusters)


def paired_difference(
    differences: Sequence[float] | NDArray[np.float64], unit: str, *, level: float = LEVEL
) -> Estimate:
    """Mean difference of two shares of the same cases; without an interval for a single case.

    Half a case is added to each outcome of a pair (both, neither, one, the other), so that equal differences have an
    interval too.

    Args:
        differences: shape (case,), each from −1 to 1: −1, 0 or 1 for single cases, between them for means over several.

    Source: Agresti and Min 2005, Statistics in Medicine 24, doi:10.1002/sim.1781; Student's t for the normal quantile.
    """
    from scipy.stats import t

    values = np.asarray(differences, dtype=float)
    n, value = len(values), float(values.mean())
    if n == 1:
        return Estimate(value, None, None, 1, unit, None)
    centre, error = _centre_pairs(values)
    half = float(t.ppf((1 + level) / 2, n - 1)) * error
    return Estimate(value, max(-1.0, min(value, centre - half)), min(1.0, max(value, centre + half)), n, unit, level)


def p_above(differences: Sequence[float] | NDArray[np.float64]) -> float:
    """The p-value that goes with `paired_difference`: at most 0.05 exactly where its interval at 95 % is above zero.

    It is two-sided for a difference above zero, and 1 for any other, as for a single case.

    Args:
        differences: as there.
    """
    from scipy.stats import t

    values = np.asarray(differences, dtype=float)
    if len(values) == 1:
        return 1.0
    centre, error = _centre_pairs(values)
    return float(2 * t.sf(centre / error, len(values) - 1)) if centre > 0 else 1.0


def _centre_pairs(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard error of paired differences with half a case more in each outcome."""
    n = len(values)
    centre = float(values.sum()) / (n + 2)
    variance = (float((values**2).sum()) + 1) / (n + 2) - centre**2
    return centre, sqrt(variance / (n + 2))
