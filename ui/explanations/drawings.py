"""Figures of explanations: strips of units, gains over random orders, curves with their random band, and agreement."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from audit_core import Estimate
from audit_core.audits import AgreementRow, CurveRow, ExplanationsResult, Strip
from ui.parts.figures import (
    EFFECT,
    INK,
    TEXT_PX,
    add_legend,
    interval_bars,
    label_tokens,
    new_figure,
    style_figure,
    wrap_names,
)

SHORT = {
    "attention": "attention", "rollout": "rollout", "gradient_attention": "grad×attn", "gradient": "gradient",
    "gradient_input": "grad×input", "integrated_gradients": "int. grad.", "shapley": "Shapley", "lime": "LIME",
    "occlusion": "occlusion",
}  # fmt: skip
"""Names that fit above a column; a method without one keeps its own."""
SIDES = (("deletion", "without the first units"), ("insertion", "first units alone"))
_GREY = ((0.0, "#f4f5f7"), (1.0, "#4b5563"))
_MARKS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "star", "hexagon", "pentagon")


def shorten(method: str) -> str:
    """Name of a method above a column."""
    return SHORT.get(method, method.replace("_", " "))


def draw_strips(strip: Strip, rows: Sequence[int]) -> go.Figure:
    """Scores of these units by every method that does not measure, each relative to its own largest; signs are written."""
    names = list(strip.scores)
    values = np.array([strip.scores[name] for name in names]).T
    largest = np.abs(values).max(0, keepdims=True)
    shares = np.divide(values, largest, out=np.zeros_like(values), where=largest > 0)
    shares, values, units = shares[list(rows)], values[list(rows)], label_tokens(strip.units)
    figure = new_figure(
        go.Heatmap(
            z=np.abs(shares), x=[shorten(name) for name in names], y=[units[at] for at in rows], colorscale=_GREY, zmin=0, zmax=1,
            text=[[_write(share) for share in row] for row in shares], texttemplate="%{text}", textfont={"size": TEXT_PX},
            customdata=values, showscale=False, xgap=3, ygap=1,
            hovertemplate="%{y}<br>%{x}: %{customdata:.3g}, %{text} of its largest<extra></extra>",
        )
    )  # fmt: skip
    style_figure(figure, 70 + 24 * max(8, len(rows)), "", "")
    figure.update_xaxes(side="top", tickangle=-40)
    return figure.update_yaxes(autorange="reversed", dtick=1)


def _write(share: float) -> str:
    text = f"{abs(share):.1f}"
    return "" if text == "0.0" else ("−" if share < 0 else "") + text


def draw_gains(found: ExplanationsResult) -> go.Figure:
    """Gain of each method over random orders, replaced and removed, with its interval."""
    figure = new_figure()
    names = wrap_names([row.title for row in found.methods])
    for at, (label, symbol, gains) in enumerate(
        (
            ("replaced, decides", "diamond", [row.comprehensiveness_gain for row in found.methods]),
            ("removed", "circle-open", [row.removal_gain for row in found.methods]),
        )
    ):
        figure.add_scatter(
            x=[gain.value for gain in gains], y=[row + 0.3 * (at - 0.5) for row in range(len(gains))], mode="markers", name=label,
            text=[row.title for row in found.methods], marker={"size": 10, "symbol": symbol, "color": EFFECT},
            error_x=interval_bars([(gain.value, gain.low, gain.high) for gain in gains], True),
            hovertemplate="%{text}, " + label + ": %{x:+.2f} " + found.unit + "<extra></extra>",
        )  # fmt: skip
    figure.add_vline(x=0, line={"dash": "dash", "color": INK, "width": 1})
    style_figure(figure, 110 + 40 * len(names), f"Gain over random orders ({found.unit})", "")
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
    return figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.5, -0.5]
    )


def draw_curves(found: ExplanationsResult, without: str, side: str) -> go.Figure:
    """The metric along every method's order, over the band of random orders."""
    figure = new_figure()
    random = [row for row in found.random if row.without == without]
    shares = [row.share for row in random]
    ends = [row.deletion if side == "deletion" else row.insertion for row in random]
    figure.add_scatter(
        x=[*shares, *shares[::-1]], y=[*(end[2] for end in ends), *(end[0] for end in ends[::-1])], fill="toself", mode="none",
        fillcolor="rgba(125,133,144,0.30)", name="random orders", hoverinfo="skip",
    )  # fmt: skip
    titles = {row.method: row.title for row in found.methods}
    for at, (name, title) in enumerate(titles.items()):
        points = [row for row in found.curves if row.method == name and row.without == without]
        values = [_side(row, side) for row in points]
        figure.add_scatter(
            x=[row.share for row in points], y=[value.value for value in values], mode="lines+markers", name=title,
            line={"color": EFFECT if name == "occlusion" else INK, "width": 1.2},
            marker={"symbol": _MARKS[at % len(_MARKS)], "size": 9},
            error_y=interval_bars([(value.value, value.low, value.high) for value in values], False),
            hovertemplate=html.escape(title) + "<br>share %{x:.0%}: %{y:+.2f} " + found.unit + "<extra></extra>",
        )  # fmt: skip
    words = dict(SIDES)[side]
    style_figure(figure, 400, f"Share of units: {words}", f"Answer ({found.unit})")
    figure.update_xaxes(tickformat=".0%", tickvals=shares)
    return add_legend(figure, 1 + len(titles))


def _side(row: CurveRow, side: str) -> Estimate:
    return row.deletion if side == "deletion" else row.insertion


def draw_agreement(found: ExplanationsResult) -> go.Figure:
    """Mean rank correlation between the scores of every two methods."""
    names = [row.method for row in found.methods]
    at = {name: place for place, name in enumerate(names)}
    table = np.full((len(names), len(names)), np.nan)
    for row in found.agreements:
        if row.agreement is not None:
            table[at[row.first], at[row.second]] = table[at[row.second], at[row.first]] = row.agreement.value
    labels = [shorten(name) for name in names]
    figure = new_figure(
        go.Heatmap(
            z=table, x=labels, y=labels, colorscale=_GREY, zmin=0, zmax=1, showscale=False, xgap=2, ygap=2,
            text=[["" if np.isnan(value) else f"{value:.2f}" for value in row] for row in table], texttemplate="%{text}",
            textfont={"size": TEXT_PX}, hoverongaps=False,
            hovertemplate="%{y} and %{x}: ρ = %{z:.2f}<extra></extra>",
        )
    )  # fmt: skip
    style_figure(figure, 120 + 34 * len(names), "", "")
    figure.update_xaxes(tickangle=-40)
    return figure.update_yaxes(autorange="reversed")


def list_agreements(rows: Sequence[AgreementRow], titles: dict[str, str]) -> list[tuple[str, str, AgreementRow]]:
    """Pairs by title, those that agree most first."""
    known = [row for row in rows if row.agreement is not None]
    known.sort(key=lambda row: -row.agreement.value if row.agreement is not None else 0)
    return [(titles[row.first], titles[row.second], row) for row in known]
