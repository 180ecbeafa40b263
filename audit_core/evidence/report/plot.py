"""Layout of an interval plot, shared by HTML and PDF."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from audit_core.evidence.report.quantity import Quantity, format_interval, format_number, format_quantity

PAD = 0.06
"""Fraction of the axis left free at either end."""
LABEL_ROOM = 0.22
"""Lines closer than this fraction of the width have stacked labels."""
STEPS = 5
FURTHEST = 1e12
"""Larger numbers are printed but not drawn: they would compress all others."""


@dataclass(frozen=True)
class Row:
    """One interval, or a strip of marks; positions are fractions of the width."""

    label: str
    text: str
    """The numbers as text."""
    at: float | None = None
    low: float | None = None
    high: float | None = None
    is_deciding: bool = False
    """Drawn as a filled diamond; the others are open circles."""
    strip: tuple[float, ...] = ()


@dataclass(frozen=True)
class Guide:
    """A line across all rows."""

    at: float
    label: str
    is_zero: bool
    """Solid line; others are dashed."""
    level: int
    """Row of the label above the plot, so that labels do not overlap."""


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Plot:
    """A figure of intervals."""

    key: str
    title: str
    description: str
    """Text alternative with everything the figure shows."""
    unit: str
    rows: tuple[Row, ...]
    guides: tuple[Guide, ...]
    ticks: tuple[Tick, ...]

    @property
    def guide_levels(self) -> int:
        return 1 + max((guide.level for guide in self.guides if guide.label), default=-1)


def draw_intervals(
    key: str,
    title: str,
    intervals: Sequence[tuple[str, Quantity]],
    *,
    unit: str,
    lines: Sequence[tuple[float, str]] = (),
    deciding: str = "",
    strip: tuple[str, Sequence[float]] = ("", ()),
) -> Plot:
    """Lay out one row per interval with a value; zero is always on the axis.

    Args:
        key: unique key of the figure within its report.
        lines: values marked by dashed lines, with labels.
        deciding: label of the row that decides.
        strip: label and values of a row of marks without intervals.
    """
    known = [(label, q) for label, q in intervals if q.value is not None]
    numbers = [end for _, q in known for end in (q.value, q.low, q.high) if end is not None]
    drawn = [value for value in (0.0, *numbers, *strip[1], *(value for value, _ in lines)) if abs(value) <= FURTHEST]
    low, high = _range(drawn)

    def place(value: float | None) -> float | None:
        return None if value is None or abs(value) > FURTHEST else (value - low) / (high - low)

    rows = [
        Row(label, format_interval(q), place(q.value), place(q.low), place(q.high), label == deciding)
        for label, q in known
    ]
    if strip[1]:
        marks = tuple(mark for value in strip[1] if (mark := place(value)) is not None)
        rows.append(Row(strip[0], f"{len(strip[1])} draws", strip=marks))
    reported = [f"{label}: {format_quantity(q)}" for label, q in intervals]
    reported += [f"{strip[0]}: {_describe_strip(strip[1])}"] if strip[1] else []
    reported += [f"dashed line at {value:g}: {label}" for value, label in lines]
    guides = (Guide(-low / (high - low), "", True, 0), *_guides(lines, low, high))
    anchor = "figure-" + hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:12]
    return Plot(anchor, title, "; ".join(reported) + ".", unit, tuple(rows), guides, _ticks(low, high))


def _describe_strip(values: Sequence[float]) -> str:
    return f"{len(values)} draws from {format_number(min(values))} to {format_number(max(values))}"


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = PAD * (high - low) or 1.0
    return low - pad, high + pad


def _guides(lines: Sequence[tuple[float, str]], low: float, high: float) -> tuple[Guide, ...]:
    placed: list[Guide] = []
    for value, label in sorted(line for line in lines if abs(line[0]) <= FURTHEST):
        at = (value - low) / (high - low)
        taken = {guide.level for guide in placed if at - guide.at < LABEL_ROOM}
        level = next(free for free in range(len(lines)) if free not in taken)
        placed.append(Guide(at, label, False, level))
    return tuple(placed)


def _ticks(low: float, high: float) -> tuple[Tick, ...]:
    rough = (high - low) / STEPS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    digits = max(0, -math.floor(math.log10(step)))
    first = math.ceil(low / step)
    marks = [step * i for i in range(first, math.floor(high / step) + 1)]
    return tuple(Tick((mark - low) / (high - low), format_number(mark, digits)) for mark in marks)
