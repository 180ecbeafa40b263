"""Figures of the circuit page: effects in PuOr, random baseline in grey, all readable without colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from audit_core import Estimate
from audit_core.audits import CurveResult
from ui.parts.figures import INK, MIN_EFFECT_RANGE, interval_bars, style_figure

EFFECT = "#542788"
AGAINST = "#b35806"
WIDEST = 9.0
"""Line width, in pixels, of the strongest connection."""
BEND = 16
"""Segments of a drawn line."""
SAME_COLUMN = 0.9
"""Distance in tokens below which two nodes share a column."""
THINNEST = 0.8


def forest(
    names: Sequence[str], estimates: Sequence[Estimate], *, unit: str, lines: Sequence[tuple[float, str]] = ()
) -> go.Figure:
    """One interval per row, the first on top."""
    figure = go.Figure(
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


def staircase(names: Sequence[str], kept: Sequence[Estimate], *, unit: str) -> go.Figure:
    """Effect kept after restoring each component, from the first layer to the last."""
    figure = go.Figure(
        go.Scatter(
            x=[f"+ {name}" for name in names], y=[e.value for e in kept], mode="lines+markers",
            line={"shape": "hv", "color": EFFECT, "width": 2}, marker={"size": 9, "symbol": "diamond"},
            error_y=interval_bars([(e.value, e.low, e.high) for e in kept], True),
            hovertemplate="%{x}: %{y:.3f} kept<extra></extra>",
        )
    )  # fmt: skip
    for at, text in ((0.0, "empty circuit"), (1.0, "whole model")):
        figure.add_hline(y=at, line={"color": INK, "dash": "dash", "width": 1}, annotation_text=text)
    return style_figure(figure, 320, "Restored, one after another", f"Kept, {unit}")


def curve(found: CurveResult) -> go.Figure:
    """Effect kept by the first k components of an order, with random orders in grey and the circuit as a square."""
    sizes, kept = [p.size for p in found.points], [p.kept.estimate for p in found.points]
    figure = go.Figure()
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


@dataclass(frozen=True)
class Node:
    """One node of the graph."""

    name: str
    x: float
    """Token position."""
    y: float
    """Layer; −1 for the input, n_layers for the output."""
    effect: float
    """Effect in the metric's unit."""


@dataclass(frozen=True)
class Line:
    """One connection of the graph."""

    sender: int
    receiver: int
    effect: float
    text: str
    is_sure: bool
    """Whether its interval excludes zero."""


def _bow(sender: Node, receiver: Node) -> tuple[list[float], list[float]]:
    """Points of a line; within one column a longer line bows out further, so that lines do not overlap."""
    shares = [at / BEND for at in range(BEND + 1)]
    height = receiver.y - sender.y
    out = 0.12 * abs(height) if abs(receiver.x - sender.x) < SAME_COLUMN else 0.0
    xs = [sender.x + share * (receiver.x - sender.x) - 4 * out * share * (1 - share) for share in shares]
    return xs, [sender.y + share * height for share in shares]


def graph(
    nodes: Sequence[Node], lines: Sequence[Line], pieces: Sequence[str], *, n_layers: int, unit: str
) -> go.Figure:
    """Graph with layers upwards and tokens across; line width is effect size, solid supports and dotted opposes the answer."""
    figure = go.Figure()
    strongest = max([abs(line.effect) for line in lines] + [MIN_EFFECT_RANGE])
    for line in sorted(lines, key=lambda line: abs(line.effect)):
        xs, ys = _bow(nodes[line.sender], nodes[line.receiver])
        figure.add_scatter(
            x=xs, y=ys, mode="lines", hoverinfo="skip",
            line={
                "width": max(THINNEST, WIDEST * abs(line.effect) / strongest),
                "color": INK if not line.is_sure else EFFECT if line.effect > 0 else AGAINST, "dash": "solid" if line.effect > 0 else "dot",
            },
        )  # fmt: skip
    middles = [[part[BEND // 2] for part in _bow(nodes[line.sender], nodes[line.receiver])] for line in lines]
    figure.add_scatter(
        x=[x for x, _ in middles], y=[y for _, y in middles], mode="markers", marker={"size": 14, "opacity": 0}, text=[line.text for line in lines],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=[node.x for node in nodes], y=[node.y for node in nodes], mode="markers+text",
        text=[node.name for node in nodes], textposition="middle right",
        marker={
            "size": 15, "line": {"width": 2, "color": INK},
            "symbol": ["circle" if node.effect >= 0 else "square" for node in nodes],
            "color": [EFFECT if node.effect >= 0 else AGAINST for node in nodes],
        },
        customdata=[f"{node.effect:+.2f} {unit}" for node in nodes],
        hovertemplate="%{text}: %{customdata}<extra></extra>",
    )  # fmt: skip
    layers = sorted({round(node.y) for node in nodes} | set(range(0, n_layers, 5)))
    names = {-1: "input", n_layers: "output"}
    figure.update_yaxes(
        tickmode="array", tickvals=layers, ticktext=[names.get(layer, str(layer)) for layer in layers],
        range=[-1.8, n_layers + 1.2],
    )  # fmt: skip
    figure.update_xaxes(
        tickmode="array", tickvals=list(range(len(pieces))), ticktext=[piece.strip() or "␣" for piece in pieces],
        range=[-0.7, len(pieces) + 1.4], tickangle=-45,
    )  # fmt: skip
    return style_figure(figure, 560, "Token with the component's largest effect", "Layer")
