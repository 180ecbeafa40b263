"""Measurements of a result: one interval per row, with a table, conditions, and groups of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from audit_core import Estimate, make_table
from audit_core.stats import GroupEstimates, Measurement
from audit_core.tables import estimate_cells
from ui.parts.figures import INK, interval_bars, new_figure, style_figure
from ui.parts.figures import show as show_figure
from ui.parts.header import conditions_line, plain, table_with_csv

EFFECT = "#542788"
SHOWN = 12
COLUMNS = ("value", "low", "high", "n", "unit")


def forest(
    names: Sequence[str], estimates: Sequence[Estimate], *, unit: str, lines: Sequence[tuple[float, str]] = ()
) -> go.Figure:
    """One interval per row, the first on top."""
    figure = new_figure(
        go.Scatter(
            x=[e.value for e in estimates], y=list(names), mode="markers",
            marker={"size": 9, "symbol": "diamond", "color": EFFECT},
            error_x=interval_bars([(e.value, e.low, e.high) for e in estimates], True),
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    )  # fmt: skip
    for at, text in lines:
        figure.add_vline(x=at, line={"color": INK, "dash": "dash", "width": 1}, annotation_text=text)
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    figure.update_yaxes(autorange="reversed", type="category")
    return style_figure(figure, 90 + 26 * len(names), unit[0].upper() + unit[1:], "")


def show_forest(
    rows: Sequence[tuple[str, Measurement]], name: str, key: str, *, lines: Sequence[tuple[float, str]] = ()
) -> None:
    """Show the first rows as intervals, all of them as a table, and the conditions of the first."""
    shown = rows[:SHOWN]
    estimates: list[Estimate] = [found.estimate for _, found in shown]
    show_figure(
        forest([text for text, _ in shown], estimates, unit=estimates[0].unit, lines=lines), key=key,
        alt=f"{name}: one interval per row. The table below has the numbers.",
    )  # fmt: skip
    if len(rows) > SHOWN:
        st.markdown(f"The first {SHOWN} of {len(rows)}. The table has all.")
    show_measurements(rows, name, f"{key}-table")
    show_conditions(rows[0][1])


def show_measurements(rows: Sequence[tuple[str, Measurement]], name: str, key: str) -> None:
    """Show measurements as a table."""
    cells: list[tuple[Any, ...]] = [(text, *estimate_cells(m.estimate), m.conditions.set) for text, m in rows]
    table_with_csv(lambda: make_table(("what", *COLUMNS, "set"), cells), name, key)


def show_groups(groups: GroupEstimates, name: str, key: str) -> None:
    """Show groups of prompts as a table, the worst first."""
    rows = [(group, *estimate_cells(e), e.level) for group, e in zip(groups.names, groups.estimates, strict=True)]
    rows.sort(key=lambda row: row[1])
    columns = ("template, worst first", *COLUMNS, "simultaneous level")
    table_with_csv(lambda: make_table(columns, rows), name, key)
    if groups.untested:
        st.markdown(f"Not tested, because there is no clean–corrupted gap: {plain(', '.join(groups.untested))}.")


def show_conditions(found: Measurement) -> None:
    """Show the conditions of a measurement."""
    conditions_line(found.conditions.as_pairs(), found.estimate.n)
