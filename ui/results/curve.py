"""The curve of an order beside random orders."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from audit_core import make_table
from audit_core.audits import CurveResult
from audit_core.tables import estimate_cells
from ui.parts.figures import INK, interval_bars, new_figure, style_figure
from ui.parts.figures import show as show_figure
from ui.parts.header import controls_line, figure_header, table_with_csv
from ui.parts.measurements import COLUMNS, EFFECT, show_conditions


def show(found: CurveResult, place: str = "") -> None:
    """Show the curve of the order beside random orders."""
    figure_header(
        "Effect kept by circuit size", "causal",
        "diamonds are the first components of the order that the search found, and grey lines are random orders. "
        "The square is this circuit. Sizes are not evenly spaced.",
    )  # fmt: skip
    show_figure(
        _draw_curve(found), key=f"curve{place}",
        alt="Effect kept by circuits of growing size, beside random orders. The table below has the numbers.",
    )  # fmt: skip
    rows = [(p.size, *estimate_cells(p.kept.estimate), min(p.random), max(p.random)) for p in found.points]
    columns = ("components kept", *COLUMNS, "lowest random order", "highest random order")
    table_with_csv(lambda: make_table(columns, rows), "Curve", f"curve-table{place}")
    st.markdown(
        f"Distance from the whole model (CMD, area between curve and 1): **{found.areas.cmd:.3f}**. "
        f"{found.random_as_near} of {len(found.random_areas)} random orders come as near. CPR (area under the curve): "
        f"{found.areas.cpr:.3f}. A CPR above 1 is not better. n = {found.n}. Areas have no interval."
    )
    show_conditions(found.named)
    controls_line(found.controls)


def _draw_curve(found: CurveResult) -> go.Figure:
    """Effect kept by the first k components of an order, with random orders in grey and the circuit as a square."""
    sizes, kept = [p.size for p in found.points], [p.kept.estimate for p in found.points]
    figure = new_figure()
    for order in zip(*(p.random for p in found.points), strict=True):
        figure.add_scatter(
            x=sizes, y=list(order), mode="lines", line={"color": INK, "width": 1}, opacity=0.5, hoverinfo="skip"
        )
    figure.add_scatter(
        x=sizes, y=[e.value for e in kept], mode="lines+markers", line={"color": EFFECT, "width": 2},
        marker={"size": 8, "symbol": "diamond"},
        error_y=interval_bars([(e.value, e.low, e.high) for e in kept], True),
        hovertemplate="first %{x}: %{y:.3f} kept<extra></extra>",
    )  # fmt: skip
    named = found.named.estimate
    figure.add_scatter(
        x=[len(found.first)], y=[named.value], mode="markers+text", text=["this circuit"], textposition="top right",
        marker={"size": 12, "symbol": "square-open", "color": EFFECT, "line": {"width": 2}},
        error_y=interval_bars([(named.value, named.low, named.high)], True),
        hovertemplate="this circuit: %{y:.3f} kept<extra></extra>",
    )  # fmt: skip
    figure.add_hline(y=1, line={"color": INK, "dash": "dash", "width": 1}, annotation_text="whole model")
    # The first few sizes matter most, and a log axis cannot show zero: so sizes are categories.
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=sizes)
    return style_figure(figure, 360, "Components kept", f"Kept, {named.unit}")
