"""Figures of tabular models: sizes and effects by feature, and curves of one feature."""

from __future__ import annotations

import plotly.graph_objects as go

from audit_core.tabular import TabularResult
from ui.decisions.drawings import GREY, LIGHT, draw_points
from ui.parts import figures


def draw_said(result: TabularResult) -> go.Figure:
    """Mean size of Shapley values and of LIME's weights, a row each feature."""
    figure = figures.new_figure()
    for name, colour, symbol, rows in (
        ("Shapley values", figures.INK, "circle", [(row.feature, row.shapley) for row in result.by_feature]),
        ("LIME", LIGHT, "diamond-open", [(row.feature, row.lime) for row in result.by_feature]),
    ):
        figure.add_trace(draw_points(rows[::-1], colour, symbol, name))
    figures.style_figure(figure, 90 + 30 * len(result.by_feature), f"mean size, {result.unit}", "")
    return figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.12})


def draw_done(result: TabularResult) -> go.Figure:
    """Effect of moving each feature alone from its 10th to its 90th percentile."""
    rows = [(row.feature, row.effect) for row in result.by_feature]
    figure = figures.new_figure(draw_points(rows[::-1], figures.EFFECT, "circle", "effect"))
    figure.add_vline(x=0, line_color=figures.INK, line_width=1)
    return figures.style_figure(figure, 90 + 30 * len(rows), f"change of preference, {result.unit}", "")


def draw_curves(result: TabularResult, feature: str) -> go.Figure:
    """Curves of single rows, their mean, and accumulated effects from the same start."""
    rows = [row for row in result.curves if row.feature == feature]
    places = [row.at for row in rows]
    figure = figures.new_figure()
    for at in range(len(rows[0].individual)):
        figure.add_trace(
            go.Scatter(
                x=places, y=[row.individual[at] for row in rows], mode="lines", name="single rows", showlegend=at == 0,
                legendgroup="rows", line={"color": LIGHT, "width": 1}, opacity=0.5, hoverinfo="skip",
            )
        )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=places, y=[row.partial.value for row in rows], mode="lines+markers", name="partial dependence",
            line={"color": figures.EFFECT, "width": 3}, hovertemplate="%{x:.4g}: %{y:.2f}<extra></extra>",
        )
    )  # fmt: skip
    start = rows[0].partial.value
    known = [(row.at, start + row.accumulated) for row in rows if row.accumulated is not None]
    figure.add_trace(
        go.Scatter(
            x=[at for at, _ in known], y=[value for _, value in known], mode="lines+markers", name="accumulated effects",
            line={"color": GREY, "dash": "dot", "width": 2}, marker={"symbol": "diamond"},
            hovertemplate="%{x:.4g}: %{y:.2f}<extra></extra>",
        )
    )  # fmt: skip
    figures.style_figure(figure, 340, feature, f"preference for yes, {result.unit}")
    return figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.12})
