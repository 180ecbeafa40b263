"""A reported number: value, interval, unit, n and level, or the reason why it is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SMALL = 0.05
MOST_DIGITS = 6
LARGE = 1e7
"""Larger numbers are written in scientific notation."""


@dataclass(frozen=True)
class Quantity:
    """A number as read from a document, not recomputed."""

    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    n: int | None = None
    templates: int | None = None
    level: float | None = None
    method: str | None = None
    reason: str | None = None
    """Why there is no value."""
    beside: tuple[float, ...] = ()
    """Bounds that it is compared with: rounding must not move it across one."""

    @property
    def digits(self) -> int:
        """Decimals that keep two significant figures of a small number and its side of every bound; at most six."""
        numbers = [number for number in (self.value, self.low, self.high) if number is not None]
        largest = max(map(abs, numbers), default=0.0)
        fewest = 2 if largest >= SMALL or largest < 1e-6 else min(MOST_DIGITS, 1 - math.floor(math.log10(largest)))
        sides = [(number, bound) for number in numbers for bound in self.beside]
        kept = (d for d in range(fewest, MOST_DIGITS) if all(_keeps_side(*side, d) for side in sides))
        return next(kept, MOST_DIGITS)


def _keeps_side(number: float, bound: float, digits: int) -> bool:
    rounded = round(number, digits)
    return (rounded > bound) == (number > bound) and (rounded < bound) == (number < bound)


def read_metric(row: Mapping[str, Any]) -> Quantity:
    """Read a row of a run's metrics.json."""
    return Quantity(
        number(row.get("estimate")),
        number(row.get("ci_low")),
        number(row.get("ci_high")),
        _text(row.get("unit")) or "",
        count(row.get("n")),
        count(row.get("n_templates")),
        number(row.get("ci_level")),
        _text(row.get("ci_method")),
        _text(row.get("reason")),
    )


def read_estimate(table: Mapping[str, Any]) -> Quantity:
    """Read an `Estimate` from a result's JSON."""
    return Quantity(
        number(table.get("value")),
        number(table.get("low")),
        number(table.get("high")),
        _text(table.get("unit")) or "",
        count(table.get("n")),
        count(table.get("templates")),
        number(table.get("level")),
    )


def number(value: Any) -> float | None:
    """Return a finite number, or None for anything else, including booleans and text."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def format_number(value: float | None, digits: int = 2) -> str:
    """Return a rounded number, or a dash for None. Adding zero turns −0.0 into 0.0."""
    if value is None:
        return "–"
    return f"{value:.6g}" if abs(value) >= LARGE else f"{round(value, digits) + 0.0:.{digits}f}"


def format_bound(bound: float) -> str:
    """Return a threshold unrounded, with at least two decimals."""
    return f"{bound:.2f}" if round(bound, 2) == bound else f"{bound:g}"


def format_interval(quantity: Quantity) -> str:
    """`0.56 [0.41, 0.70]`."""
    value = format_number(quantity.value, quantity.digits)
    if quantity.value is None or quantity.low is None or quantity.high is None:
        return value
    ends = (format_number(end, quantity.digits) for end in (quantity.low, quantity.high))
    return f"{value} [{', '.join(ends)}]"


def format_count(quantity: Quantity) -> str:
    """`n = 60 in 12 templates`."""
    if quantity.n is None:
        return "n not recorded"
    among = "" if quantity.templates in (None, quantity.n) else f" in {quantity.templates} templates"
    return f"n = {quantity.n}{among}"


def format_level(quantity: Quantity) -> str:
    return "no interval" if quantity.level is None else f"{100 * quantity.level:g} %"


def format_quantity(quantity: Quantity) -> str:
    """`0.56 [0.41, 0.70] of the clean–empty gap (95 %, n = 60 in 12 templates)`, or the reason why it was not measured."""
    if quantity.value is None:
        return f"not measured: {quantity.reason or 'no reason recorded'}"
    unit = quantity.unit.replace("fraction ", "")
    return f"{format_interval(quantity)} {unit} ({format_level(quantity)}, {format_count(quantity)})"
