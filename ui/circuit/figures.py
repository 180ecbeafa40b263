"""The graph of a circuit: effects in PuOr, readable without colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
import streamlit as st

from ui.parts.figures import INK, MIN_EFFECT_RANGE, TEXT, new_figure, style_figure
from ui.parts.measurements import EFFECT

AGAINST = "#b35806"
WIDEST = 9.0
"""Line width, in pixels, of the strongest connection."""
BEND = 40
"""Segments of a drawn line."""
BOWS = (0.0, -0.1, 0.1, -0.2, 0.2, -0.3, 0.3)
"""How far a line may bow out, as a share of the width, in order of preference."""
_PLATE = {"light": "rgba(255,255,255,0.85)", "dark": "rgba(20,23,28,0.85)"}
"""Ground of a component's name by theme: the page's own, so that a name is text and no box."""
NEAR = 0.06
"""Share of the width, and of a row, within which a line touches a node."""
NUMBERED = 10
"""Most lines that carry their number in the picture; with more, numbers would cover lines."""
GREY = "#6b7280"
MIDDLE = 0.5
"""Place of input and output, whose names are beside the lines that end there."""
THINNEST = 0.8


@dataclass(frozen=True)
class Node:
    """One node of the graph."""

    name: str
    x: float
    """Share of the width, 0–1."""
    y: float
    """Row, counted from 0 for the input."""
    row: str
    """Label of its row."""


@dataclass(frozen=True)
class Line:
    """One connection of the graph."""

    sender: int
    receiver: int
    effect: float
    text: str
    is_sure: bool
    """Whether its interval excludes zero."""


def bend_line(sender: Node, receiver: Node, nodes: Sequence[Node]) -> tuple[list[float], list[float]]:
    """Points of a line: straight, or bowed out as little as keeps it off the nodes that it does not join."""
    others = [node for node in nodes if node not in (sender, receiver)]
    curves = [_bow(sender, receiver, out) for out in BOWS]
    return next((c for c in curves if not any(_touches(c, node) for node in others)), curves[0])


def _bow(sender: Node, receiver: Node, out: float) -> tuple[list[float], list[float]]:
    shares = [at / BEND for at in range(BEND + 1)]
    xs = [sender.x + share * (receiver.x - sender.x) + 4 * out * share * (1 - share) for share in shares]
    return xs, [sender.y + share * (receiver.y - sender.y) for share in shares]


def _touches(curve: tuple[list[float], list[float]], node: Node) -> bool:
    return any(abs(x - node.x) < NEAR and abs(y - node.y) < NEAR for x, y in zip(*curve, strict=True))


def graph(nodes: Sequence[Node], lines: Sequence[Line], *, unit: str) -> go.Figure:
    """Graph with layers upwards; line width is effect size, solid supports and dotted opposes the answer."""
    figure = new_figure()
    strongest = max([abs(line.effect) for line in lines] + [MIN_EFFECT_RANGE])
    bent = {at: bend_line(nodes[line.sender], nodes[line.receiver], nodes) for at, line in enumerate(lines)}
    for at, line in sorted(enumerate(lines), key=lambda row: abs(row[1].effect)):
        figure.add_scatter(
            x=bent[at][0], y=bent[at][1], mode="lines", hoverinfo="skip",
            line={
                "width": max(THINNEST, WIDEST * abs(line.effect) / strongest), "color": _colour(line),
                "dash": "solid" if line.effect > 0 else "dot",
            },
        )  # fmt: skip
    # Off the middle, where lines between the same rows cross.
    middle = BEND // 3
    figure.add_scatter(
        x=[bent[at][0][middle] for at in bent], y=[bent[at][1][middle] for at in bent],
        mode="markers", marker={"size": 14, "opacity": 0}, text=[line.text for line in lines],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    for at in bent if len(lines) <= NUMBERED else ():
        figure.add_annotation(
            x=bent[at][0][middle], y=bent[at][1][middle], text=f"{lines[at].effect:+.2f}", showarrow=False,
            font={"size": 12, "color": "#ffffff"}, bgcolor=_colour(lines[at]), borderpad=2,
        )  # fmt: skip
    figure.add_scatter(
        x=[node.x for node in nodes], y=[node.y for node in nodes], mode="markers",
        marker={"size": 15, "color": "#ffffff", "line": {"width": 2, "color": INK}}, hoverinfo="skip",
    )  # fmt: skip
    theme = "dark" if st.context.theme.type == "dark" else "light"
    for node in nodes:
        # On a plate of its own, so that no line crosses a name; away from the middle, where the lines are.
        side = "left" if node.x > 0.5 else "right"
        figure.add_annotation(
            x=node.x, y=node.y, text=f"<b>{node.name}</b>", showarrow=False, xanchor=side, bgcolor=_PLATE[theme],
            xshift=12 if side == "left" else -12, yshift=14 if node.x == MIDDLE else 0, font={"size": 13, "color": TEXT[theme]},
        )  # fmt: skip
    rows = {node.y: node.row for node in nodes}
    figure.update_yaxes(
        tickmode="array", tickvals=list(rows), ticktext=list(rows.values()), range=[min(rows) - 0.4, max(rows) + 0.4]
    )
    style_figure(figure, max(300, 56 * len(rows) + 30), f"Numbers: direct effect, {unit}", "")
    # After the style, which gives every axis its ticks: this one has no scale.
    return figure.update_xaxes(showticklabels=False, ticks="", showline=False, range=[-0.1, 1.1])


def _colour(line: Line) -> str:
    return GREY if not line.is_sure else EFFECT if line.effect > 0 else AGAINST
