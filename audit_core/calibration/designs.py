"""Coverage of the verdict's interval in simulated designs of templates: where it is below what the interval states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from audit_core.calibration.tallies import describe_share
from audit_core.data_folder import DATA, read_record
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.stats.shares import wilson

DESIGNS = DATA / "intervals.json"
"""Written by `bench/intervals.py` beside the table of docs/intervals.md."""
MAX_BYTES = 1 << 16


@dataclass(frozen=True)
class SimulatedDesign:
    """Samples of one design, in all of which the true effect is known."""

    design: str
    templates: int
    samples: int
    covered: int
    """Samples whose interval contains the true effect."""

    @property
    def coverage(self) -> Estimate:
        return wilson(self.covered, self.samples)

    @property
    def is_below(self) -> bool:
        """Whether coverage is below the interval's level by more than chance."""
        high = self.coverage.high
        return high is not None and high < LEVEL


@cache
def load_designs() -> tuple[SimulatedDesign, ...]:
    """The shipped simulation.

    Raises:
        IntegrityError: it is missing or does not parse.
    """
    return tuple(read_record(DESIGNS, list[SimulatedDesign], max_bytes=MAX_BYTES))


def list_below(found: Sequence[SimulatedDesign]) -> tuple[SimulatedDesign, ...]:
    """Designs whose coverage is below the interval's level, lowest first."""
    return tuple(sorted((one for one in found if one.is_below), key=lambda one: one.coverage.value))


def describe_below(found: Sequence[SimulatedDesign]) -> str:
    """How often an interval is too narrow, and where most, in sentences."""
    below = list_below(found)
    begin = f"An interval states {LEVEL:.0%}. In {len(below)} of {len(found)} simulated designs of templates it contains the true effect"
    if not below:
        return f"{begin} less often than that."
    worst = below[0]
    return f"{begin} less often. Lowest: {worst.design}, {worst.templates} templates, {describe_share(worst.coverage)} samples."


def list_below_rows(found: Sequence[SimulatedDesign]) -> tuple[tuple[str, int, str], ...]:
    """Design, number of templates, coverage."""
    return tuple((one.design, one.templates, describe_share(one.coverage)) for one in list_below(found))


def list_below_lines(found: Sequence[SimulatedDesign]) -> list[str]:
    """Section of the documentation page."""
    return [
        "## Where coverage is below what an interval states",
        "",
        f"{describe_below(found)} Upper ends of these shares lie below {LEVEL:.0%}; [all designs](intervals.md).",
        "",
        "| template effects | templates | intervals that contain the true effect |",
        "|---|---|---|",
        *(f"| {design} | {templates} | {share} |" for design, templates, share in list_below_rows(found)),
    ]
