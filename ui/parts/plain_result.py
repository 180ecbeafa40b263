"""Draws any result from its type: intervals per unit, tables, and sentences, with a badge for each kind of evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from audit_core import make_table
from audit_core.result_layout import ESTIMATES, EstimateRow, Fact, ResultLayout, Sheet, lay_out
from ui.parts.figures import show as show_figure
from ui.parts.header import controls_line, figure_header, plain, show_rows, table_with_csv
from ui.parts.measurements import SHOWN, forest

READING = "a diamond is an estimate and its bar the interval. The line is zero."


def show(result: Any, sheets: Sequence[Sheet], key: str) -> None:
    """Draw a result.

    Args:
        sheets: its tables, as its audit has them.
        key: prefix of the keys of its figures and tables.
    """
    layout = lay_out(result)
    for fact in layout.facts:
        if fact.is_sentence:
            st.markdown(f"**{plain(fact.text)}**")
    for number, rows in enumerate(layout.groups):
        _show_intervals(rows, f"{key}-intervals-{number}")
    for number, sheet in enumerate(sheets):
        if sheet.name == ESTIMATES:
            table_with_csv(lambda own=sheet: make_table(own.columns, own.rows), "Every estimate", f"{key}-estimates")
        else:
            _show_sheet(sheet, layout, f"{key}-sheet-{number}")
    _show_facts([fact for fact in layout.facts if not fact.is_sentence], key)
    for controls in layout.controls:
        controls_line(controls)


def _show_intervals(rows: Sequence[EstimateRow], key: str) -> None:
    """Show estimates of one unit and one kind of evidence, which therefore share an axis."""
    unit, kinds = rows[0].estimate.unit, " ".join(rows[0].kinds)
    figure_header(plain(unit[0].upper() + unit[1:]), kinds, READING)
    shown = rows[:SHOWN]
    show_figure(
        forest([row.name for row in shown], [row.estimate for row in shown], unit=unit), key=key,
        alt="One interval per row. The table below has the numbers.",
    )  # fmt: skip
    if len(rows) > SHOWN:
        st.markdown(f"The first {SHOWN} of {len(rows)}. The table has all.")


def _show_sheet(sheet: Sheet, layout: ResultLayout, key: str) -> None:
    reading = f"{len(sheet.rows):,} rows."
    if layout.unit and not any(column.endswith("unit") for column in sheet.columns):
        reading += f" Unit of the result: {plain(layout.unit)}."
    figure_header(plain(sheet.name.capitalize()), " ".join(sheet.kinds), reading)
    show_rows(make_table(sheet.columns, sheet.rows), key)


def _show_facts(facts: list[Fact], key: str) -> None:
    if facts:
        rows = [(fact.name, fact.text, ", ".join(fact.kinds)) for fact in facts]
        table_with_csv(lambda: make_table(("what", "value", "evidence"), rows), "Everything else", f"{key}-facts")
