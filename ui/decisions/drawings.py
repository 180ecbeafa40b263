"""Figures of decisions: sizes by slot, and curves over the levels of one slot."""

from __future__ import annotations

import plotly.graph_objects as go

from audit_core import Estimate
from audit_core.decisions import DecisionsResult, ThroughRow
from ui.parts import figures

GREY, LIGHT = "#4b5563", "#9aa3af"


def draw_said(result: DecisionsResult) -> go.Figure:
    """Mean size of Shapley values and of LIME's weights, a row each slot."""
    figure = figures.new_figure()
    for name, colour, symbol, rows in (
        ("Shapley values", GREY, "circle", [(row.slot, row.shapley) for row in result.by_slot]),
        ("LIME", LIGHT, "diamond", [(row.slot, row.lime) for row in result.by_slot]),
    ):
        figure.add_trace(draw_points(rows[::-1], colour, symbol, name))
    figures.style_figure(figure, 90 + 34 * len(result.by_slot), f"mean size, {result.unit}", "")
    return figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.12})


def draw_done(result: DecisionsResult) -> go.Figure:
    """Effect of changing each slot alone, and below it what passes through another slot."""
    rows = [(row.slot, row.effect) for row in result.by_slot]
    through = [(f"{row.attribute} through {row.mediator}", row.indirect) for row in pick_through(result)]
    figure = figures.new_figure(
        draw_points((rows + through)[::-1], figures.EFFECT, "circle", "effect"),
    )
    figure.add_vline(x=0, line_color=figures.INK, line_width=1)
    return figures.style_figure(
        figure, 90 + 34 * (len(rows) + len(through)), f"change of preference, {result.unit}", ""
    )


def draw_towards(result: DecisionsResult) -> go.Figure:
    """Mean local score of each slot towards its last level, by each method."""
    figure = figures.new_figure()
    for name, colour, symbol in (("Shapley values", GREY, "circle"), ("LIME", LIGHT, "diamond")):
        rows = [(row.slot, row.toward) for row in result.aggregates if row.method == name and row.toward is not None]
        figure.add_trace(draw_points(rows[::-1], colour, symbol, name))
    figure.add_vline(x=0, line_color=figures.INK, line_width=1)
    figures.style_figure(figure, 90 + 34 * len(result.by_slot), f"mean score towards the last level, {result.unit}", "")
    return figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.12})


def draw_effects(result: DecisionsResult) -> go.Figure:
    """Effect of changing each slot alone, for everyone."""
    rows = [(row.slot, row.effect) for row in result.by_slot]
    figure = figures.new_figure(draw_points(rows[::-1], figures.EFFECT, "circle", "effect"))
    figure.add_vline(x=0, line_color=figures.INK, line_width=1)
    return figures.style_figure(figure, 90 + 34 * len(rows), f"change of preference, {result.unit}", "")


def pick_through(result: DecisionsResult) -> list[ThroughRow]:
    """The largest indirect effect of each protected attribute that is beyond the smallest effect of interest."""
    best: dict[str, ThroughRow] = {}
    for row in sorted((one for one in result.through if one.is_proxy), key=lambda one: -abs(one.indirect.value)):
        best.setdefault(row.attribute, row)
    return list(best.values())


def draw_curves(result: DecisionsResult, slot: str) -> go.Figure:
    """Partial dependence with the range of individual curves, and accumulated effects from the same start."""
    rows = [row for row in result.curves if row.slot == slot]
    levels = [row.level for row in rows]
    figure = figures.new_figure(
        go.Scatter(
            x=levels, y=[row.partial.value for row in rows], mode="lines+markers", name="partial dependence",
            line={"color": figures.EFFECT},
            error_y={
                "type": "data", "symmetric": False, "thickness": 1,
                "array": [row.highest - row.partial.value for row in rows],
                "arrayminus": [row.partial.value - row.lowest for row in rows],
            },
        )
    )  # fmt: skip
    if all(row.accumulated is not None for row in rows):
        start = rows[0].partial.value
        figure.add_trace(
            go.Scatter(
                x=levels, y=[start + (row.accumulated or 0.0) for row in rows], mode="lines+markers",
                name="accumulated effects", line={"color": GREY, "dash": "dot"},
            )
        )  # fmt: skip
    figures.style_figure(figure, 320, "", f"preference for yes, {result.unit}")
    return figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.12})


def draw_points(rows: list[tuple[str, Estimate]], colour: str, symbol: str, name: str) -> go.Scatter:
    """One point a row, with its interval."""
    ends = [(one.value if one.low is None else one.low, one.value if one.high is None else one.high) for _, one in rows]
    return go.Scatter(
        x=[one.value for _, one in rows], y=[label for label, _ in rows], mode="markers", name=name,
        marker={"size": 11, "color": colour, "symbol": symbol},
        error_x={
            "type": "data", "symmetric": False, "color": colour, "thickness": 2,
            "array": [high - one.value for (_, one), (_, high) in zip(rows, ends, strict=True)],
            "arrayminus": [one.value - low for (_, one), (low, _) in zip(rows, ends, strict=True)],
        },
        hovertemplate="%{y}: %{x:.2f}<extra></extra>",
    )  # fmt: skip
