"""Shares of counted cases, with their interval."""

from __future__ import annotations

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
