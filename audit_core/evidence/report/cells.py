"""Cells that all sections share: a value or its absence, a list, a digest, a row of numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from audit_core.evidence.report.blocks import Facts, Line, Span, Table, code, join_spans, line, theirs
from audit_core.evidence.report.pack_view import as_list
from audit_core.evidence.report.quantity import (
    Quantity,
    format_count,
    format_interval,
    format_level,
    format_number,
)

ABSENT = "not recorded"
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z")
ESTIMATE_COLUMNS = ("", "value", "low", "high", "unit", "n", "level")
ESTIMATE_WIDTHS = (23, 9, 9, 9, 24, 18, 8)


def cell(value: Any) -> Line:
    """Return a document's value as text, or "not recorded"."""
    if value is None or value == "" or value == [] or value == {}:
        return line(ABSENT)
    if isinstance(value, str) and (time := _TIME.fullmatch(value)):
        return line(theirs(f"{time[1]} {time[2]} UTC"))
    if isinstance(value, bool):
        return line("yes" if value else "no")
    if isinstance(value, list | tuple):
        return join_spans([theirs(item) for item in value])
    return line(theirs(value))


def digest_cell(value: Any) -> Line:
    return line(ABSENT) if not value else line(code(value))


def pick_facts(table: Mapping[str, Any], fields: Sequence[tuple[str, str]], digests: Sequence[str] = ()) -> Facts:
    """Return rows for the given fields of a document: an allow-list, so that no unforeseen field is shown.

    Args:
        fields: key in the document and its label.
        digests: keys that are shown as code.
    """
    rows = [(words, (digest_cell if key in digests else cell)(table[key])) for key, words in fields if key in table]
    return Facts(tuple(rows))


def list_items(value: Any) -> tuple[Line, ...]:
    return tuple(cell(item) for item in as_list(value))


def estimate_table(caption: str, first: str, rows: Sequence[tuple[str | Line, Quantity]]) -> Table:
    """Return a figure's numbers as a table, one row each; a missing number has its reason in the unit column."""
    cells: list[tuple[Line, ...]] = []
    for label, quantity in rows:
        name = line(label) if isinstance(label, str) else label
        if quantity.value is None:
            reason = line("not measured: ", theirs(quantity.reason or "no reason recorded"))
            cells.append((name, line("–"), line("–"), line("–"), reason, line(_n(quantity)), line("–")))
            continue
        numbers = (format_number(end, quantity.digits) for end in (quantity.value, quantity.low, quantity.high))
        unit = line(theirs(quantity.unit)) if quantity.unit else line(ABSENT)
        cells.append((name, *(line(end) for end in numbers), unit, line(_n(quantity)), line(format_level(quantity))))
    return Table(caption, (first, *ESTIMATE_COLUMNS[1:]), tuple(cells), numeric=(1, 2, 3), widths=ESTIMATE_WIDTHS)


def _n(quantity: Quantity) -> str:
    return format_count(quantity).removeprefix("n = ").replace("n not recorded", "–")


def span_quantity(quantity: Quantity) -> tuple[Span, ...]:
    """Return a number for use in a sentence; the unit is text from the document."""
    if quantity.value is None:
        return (Span("not measured: "), theirs(quantity.reason or "no reason recorded"))
    unit = quantity.unit.replace("fraction ", "")
    return (
        Span(f"{format_interval(quantity)} "),
        theirs(unit),
        Span(f" ({format_level(quantity)}, {format_count(quantity)})"),
    )
