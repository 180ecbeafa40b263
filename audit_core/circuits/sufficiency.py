"""Bounds within which a set of components alone counts as sufficient."""

from __future__ import annotations

from audit_core.stats.estimates import Estimate

SUFFICIENT_LOW, SUFFICIENT_HIGH = 0.80, 1.20
"""Bounds of sufficiency: the whole interval of a sufficient set lies between them (methods 2.1)."""


def is_sufficient(found: Estimate) -> bool:
    """Whether the whole interval lies within the bounds."""
    low, high = found.low, found.high
    return low is not None and high is not None and low >= SUFFICIENT_LOW and high <= SUFFICIENT_HIGH


def is_not_sufficient(found: Estimate) -> bool:
    """Whether the whole interval lies outside the bounds; false, as `is_sufficient`, where it includes one."""
    low, high = found.low, found.high
    return low is not None and high is not None and (high < SUFFICIENT_LOW or low > SUFFICIENT_HIGH)
