"""Measurements of circuits: an estimate with the six conditions it depends on."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

from audit_core.stats.estimates import Estimate


@dataclass(frozen=True)
class Conditions:
    """The six conditions that a faithfulness number depends on.

    Source: Miller et al. 2024, arXiv:2407.08734.
    """

    granularity: str
    component_type: str
    ablation: str
    positions: str
    direction: str
    set: str

    def __post_init__(self) -> None:
        if empty := [name for name, value in self.as_pairs() if not value.strip()]:
            raise ValueError(f"A measurement without {', '.join(empty)}.")

    def as_pairs(self) -> tuple[tuple[str, str], ...]:
        """Name and value of each, for display."""
        names = (field.name.replace("_", " ") for field in fields(self))
        return tuple(zip(names, astuple(self), strict=True))


@dataclass(frozen=True)
class Measurement:
    """An estimate of a circuit, with its conditions."""

    estimate: Estimate
    conditions: Conditions

    def is_within(self, bound: float) -> bool:
        """Whether the whole interval lies within ± bound."""
        low, high = self.estimate.low, self.estimate.high
        return low is not None and high is not None and -bound < low and high < bound

    def is_beyond(self, bound: float) -> bool:
        """Whether the whole interval lies outside ± bound, on one side."""
        low, high = self.estimate.low, self.estimate.high
        return low is not None and high is not None and (low > bound or high < -bound)
