"""What the audit of experts found, in two sentences."""

from __future__ import annotations

from collections.abc import Sequence

from audit_core.intervention import Replacement
from audit_core.mixture.results import ExpertRow
from audit_core.stats.estimates import Estimate


def describe_strongest(rows: Sequence[ExpertRow]) -> str:
    """Effects of the strongest and of the busiest expert."""
    measured = [row for row in rows if row.fractions]
    if not measured:
        return "No expert has an effect as a fraction of the gap on these prompts."
    zero = Replacement.ZERO.value
    strongest = max(measured, key=lambda row: abs(row.fractions[zero].value))
    busiest = max(measured, key=lambda row: row.load.value)
    text = f"Removing {strongest.component} {_say(strongest.fractions[zero])} of the clean–corrupted gap."
    if busiest is not strongest:
        text += (
            f" Removing {busiest.component}, which receives {busiest.load.value:.0%} of its layer's choices, "
            f"{_say(busiest.fractions[zero])}."
        )
    return text


def _say(fraction: Estimate) -> str:
    """`takes away 0.50 [0.41, 0.60]`; a negative fraction is added."""
    numbers = [n for n in (fraction.value, fraction.low, fraction.high) if n is not None]
    is_added = round(fraction.value, 2) < 0
    if is_added:
        numbers = [-fraction.value, *(-n for n in numbers[:0:-1])]
    value, *ends = (f"{round(number, 2) + 0.0:.2f}" for number in numbers)
    verb = "adds" if is_added else "takes away"
    return f"{verb} {value}" + (f" [{', '.join(ends)}]" if ends else "")
