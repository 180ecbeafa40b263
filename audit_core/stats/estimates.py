"""Estimates with interval, n and unit, and the number of templates needed for a conclusive interval."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import ndtri

LEVEL = 0.95
MIN_PROMPTS = 20
MIN_TEMPLATES = 5
"""Minimum sizes for a verdict (methods 1.8)."""


@dataclass(frozen=True)
class Estimate:
    """Point estimate with confidence interval, n and unit."""

    value: float
    low: float | None
    """Lower end of the interval; None without one (a single prompt or template)."""
    high: float | None
    n: int
    """Prompts behind the number."""
    unit: str
    level: float | None
    """Confidence level of the interval; None without one."""
    templates: int | None = None
    """Independent clusters behind the interval; None if n counts independent units."""

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def format_estimate(estimate: Estimate) -> str:
    """`0.56 [0.41, 0.70] of the clean–empty gap (95 %, n = 60 in 12 templates)`.

    Example:
        >>> format_estimate(Estimate(0.556, 0.41, 0.7, 60, "fraction of the gap", 0.95, 12))
        '0.56 [0.41, 0.70] of the gap (95 %, n = 60 in 12 templates)'
    """
    unit = estimate.unit.replace("fraction ", "")
    level = "no interval" if estimate.level is None else f"{100 * estimate.level:g} %"
    numbers = [estimate.value] + (
        [] if estimate.low is None or estimate.high is None else [estimate.low, estimate.high]
    )
    digits = _count_digits(max(map(abs, numbers)))
    # Adding zero turns −0.0 into 0.0.
    value, *ends = (f"{round(number, digits) + 0.0:.{digits}f}" for number in numbers)
    between = f" [{', '.join(ends)}]" if ends else ""
    of = "" if estimate.templates in (None, estimate.n) else f" in {estimate.templates} templates"
    return f"{value}{between} {unit} ({level}, n = {estimate.n}{of})"


def _count_digits(largest: float) -> int:
    """Decimals that show two significant figures of a small number; at most six."""
    return 2 if largest >= 0.05 or largest < 1e-6 else min(6, 1 - int(np.floor(np.log10(largest))))


def count_needed(estimate: Estimate, bound: float, *, power: float = 0.8) -> int | None:
    """Templates (with as many prompts each as now) needed for the interval to exclude a bound, at the present value.

    n ≥ (z_level + z_power)² σ² / (value − bound)², with σ² per template from the present interval: more prompts of the
    same templates narrow it less, because they are not independent.

    Returns:
        None without an interval, or if the value is within a hundredth of its spread of the bound.

    Source: methods 1.8; Chow, Shao and Wang 2008, section 3.2.
    """
    if estimate.low is None or estimate.high is None or estimate.level is None:
        return None
    clusters = estimate.templates or estimate.n
    z = float(ndtri(0.5 + estimate.level / 2))
    sigma = (estimate.high - estimate.low) / (2 * z) * np.sqrt(clusters)
    return count_templates(float(sigma), abs(estimate.value - bound), level=estimate.level, power=power)


def count_templates(sigma: float, distance: float, *, level: float, power: float) -> int | None:
    """Templates needed for an interval to exclude a bound at this distance; see `count_needed`.

    Args:
        sigma: standard deviation between templates, in the unit of the distance.
    """
    if distance <= 0.01 * sigma:
        return None
    return int(np.ceil(((float(ndtri(0.5 + level / 2)) + float(ndtri(power))) * sigma / distance) ** 2))
