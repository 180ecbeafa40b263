"""Figures of a benchmark: accuracy with its interval, and the effect beside random sets."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from audit_core import Estimate
from audit_core.benchmarks import BenchmarkResult
from ui.parts import figures

ACCURACY = "#3a78a8"
"""A blue of the attention scale's family: accuracy is observed."""
_MOST_CATEGORIES = 10
_LONGEST_NAME = 24


def draw_accuracy(result: BenchmarkResult) -> Any:
    """All items, then each category; a dashed line at chance."""
    rows: list[tuple[str, Estimate]] = [("all items", result.accuracy)]
    if len(result.categories) > 1:
        rows += [(_shorten(one.category), one.accuracy) for one in result.categories[:_MOST_CATEGORIES]]
    rows.reverse()
    figure = figures.new_figure()
    figure.add_trace(_points(rows, ACCURACY))
    figure.add_vline(x=result.chance, line_dash="dash", line_color=figures.INK)
    figures.style_figure(figure, 90 + 30 * len(rows), "share of right items; dashed: chance", "")
    figure.update_xaxes(range=[-0.02, 1.02])
    return figure


def draw_effect(result: BenchmarkResult) -> Any:
    """The components with their interval, above the random sets."""
    assert result.effect is not None
    names = " ".join(result.components)
    figure = figures.new_figure()
    figure.add_trace(
        go.Scatter(
            x=list(result.random_effects),
            y=["random sets"] * len(result.random_effects),
            mode="markers",
            marker={"symbol": "line-ns-open", "size": 18, "color": figures.INK},
            hovertemplate="%{x:.2f} nats<extra></extra>",
        )
    )
    figure.add_trace(_points([(_shorten(names), result.effect)], figures.EFFECT))
    figure.add_vline(x=0, line_color=figures.INK, line_width=1)
    figures.style_figure(figure, 210, "loss of margin on right items, nats", "")
    return figure


def _points(rows: list[tuple[str, Estimate]], colour: str) -> Any:
    ends = [(one.value if one.low is None else one.low, one.value if one.high is None else one.high) for _, one in rows]
    return go.Scatter(
        x=[one.value for _, one in rows], y=[name for name, _ in rows], mode="markers",
        marker={"size": 11, "color": colour},
        error_x={
            "type": "data", "symmetric": False, "color": colour, "thickness": 2,
            "array": [high - one.value for (_, one), (_, high) in zip(rows, ends, strict=True)],
            "arrayminus": [one.value - low for (_, one), (low, _) in zip(rows, ends, strict=True)],
        },
        customdata=[[low, high, one.n] for (_, one), (low, high) in zip(rows, ends, strict=True)],
        hovertemplate="%{x:.2f} [%{customdata[0]:.2f}, %{customdata[1]:.2f}], n = %{customdata[2]}<extra></extra>",
    )  # fmt: skip


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
