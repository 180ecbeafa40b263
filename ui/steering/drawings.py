"""Figures of steering: concept score and perplexity by method, and both against the strength."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from audit_core import Estimate
from audit_core.steering import DoseRow, Method, SteeringResult, SteeringRow
from ui.parts import figures

MARKS = {
    Method.DIFFMEAN: ("circle", "solid"), Method.PROBE: ("square", "dash"), Method.FEATURE: ("diamond", "dot"),
    Method.RANDOM: ("x", "dashdot"),
}  # fmt: skip
"""Marker and line of each direction, so that none is known by colour alone."""


def name_row(row: SteeringRow | DoseRow) -> str:
    """Method with its strength."""
    return row.method.value if row.strength is None else f"{row.method.value}, strength {row.strength:g}"


def draw_scores(rows: Sequence[SteeringRow]) -> go.Figure:
    """Share of continuations that hold the concept, one row a method."""
    return figures.interval_rows(
        [name_row(row) for row in rows], [("concept score", "diamond", [row.score for row in rows])],
        unit="Share with the concept", lines=(), is_effect=True,
    )  # fmt: skip


def draw_ratios(rows: Sequence[SteeringRow], result: SteeringResult) -> go.Figure:
    """Perplexity relative to unedited continuations, one row a method."""
    kept = [row for row in rows if row.ratio is not None]
    return figures.interval_rows(
        [name_row(row) for row in kept], [("perplexity", "square", [row.ratio for row in kept])],
        unit="Times unedited perplexity", lines=((1.0, "unedited"), (result.most_ratio, "most")),
        is_effect=True,
    )  # fmt: skip


def draw_doses(rows: Sequence[DoseRow], name: str, y: str) -> go.Figure:
    """One measure against the strength, one line a direction.

    Args:
        name: field of the rows.
    """
    figure = figures.new_figure()
    for method, (symbol, dash) in MARKS.items():
        mine = [row for row in rows if row.method is method]
        found: list[Estimate] = [getattr(row, name) for row in mine]
        if mine:
            figure.add_scatter(
                x=[row.strength for row in mine], y=[one.value for one in found], mode="lines+markers", name=method.value,
                marker={"size": 9, "symbol": symbol, "color": figures.EFFECT}, line={"dash": dash, "color": figures.EFFECT},
                error_y=figures.interval_bars([(one.value, one.low, one.high) for one in found], True),
                hovertemplate=method.value + ", strength %{x}: %{y:.3f}<extra></extra>",
            )  # fmt: skip
    figures.style_figure(figure, 300, "Strength, in median norms of the layer's input", y)
    return figures.add_legend(figure, len(MARKS))
