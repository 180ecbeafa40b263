"""Number of prompts that a claim's threshold needs, estimated before any run from the spread that recorded heads show."""

from __future__ import annotations

import math
from dataclasses import dataclass

from audit_core.claim import Role
from audit_core.stats.estimates import LEVEL, MIN_PROMPTS, MIN_TEMPLATES, count_templates

TYPICAL_SPREAD = 0.17
"""Standard deviation between templates, fraction of the gap: the upper end of the heads that act in `data/story`."""
POWER = 0.8


@dataclass(frozen=True)
class SampleSize:
    """Prompts that a threshold needs, and what a prompt set has."""

    needed_templates: int
    needed_prompts: int
    """At as many prompts per template as the set has."""
    templates: int
    prompts: int
    distinguished: str
    """The two effects that this many prompts distinguish, in words."""

    @property
    def is_enough(self) -> bool:
        return self.templates >= self.needed_templates and self.prompts >= self.needed_prompts


def plan_sample_size(
    role: Role, delta: float, *, prompts: int, templates: int, spread: float = TYPICAL_SPREAD
) -> SampleSize | None:
    """Estimate the prompts that a verdict against this threshold needs.

    n = (z_level + z_power)² σ² / d² templates, where d is the distance that must be resolved: δ for a necessary
    component (between δ and twice δ, or between δ and no effect), and 1 − δ for a sufficient circuit (between δ and all).

    Args:
        delta: smallest effect of interest, fraction of the gap.
        prompts, templates: size of the confirmatory split.
        spread: σ between templates, fraction of the gap; a guess before the run.

    Returns:
        None where no number of prompts resolves the threshold, or the set is empty.

    Source: `count_needed`; methods 1.8.
    """
    distance = delta if role is Role.NECESSARY else abs(1 - delta)
    needed = count_templates(spread, distance, level=LEVEL, power=POWER)
    if needed is None or not templates:
        return None
    needed = max(needed, MIN_TEMPLATES)
    size = max(math.ceil(needed * prompts / templates), MIN_PROMPTS)
    apart = (
        f"an effect of {2 * delta:.0%}, or none, from {delta:.0%}"
        if role is Role.NECESSARY
        else f"a circuit that keeps everything from one that keeps {delta:.0%}"
    )
    return SampleSize(needed, size, templates, prompts, apart)
