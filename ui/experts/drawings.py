"""Figures of the experts page: load in greys, the parts of a mask, and the way of a prompt's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from plotly.colors import sample_colorscale

from audit_core.audits import MaskSplit
from audit_core.routing import RoutedToken
from ui.parts import figures
from ui.parts.grid import Cells

GREYS = ((0.0, "#f7f7f7"), (1.0, "#252525"))
GREYS_DARK = ((0.0, "#262b33"), (1.0, "#e8eaed"))
PARTS = {
    "output_removed": "output removed",
    "survivors_reweighted": "survivors reweighted",
    "newcomer": "newcomer",
}
_SHAPES = {"output_removed": "", "survivors_reweighted": "/", "newcomer": "x"}
_COLOURS = {"output_removed": figures.EFFECT, "survivors_reweighted": "#b7a6d8", "newcomer": "#c9cdd3"}


def _grey(values: Sequence[float]) -> list[str]:
    scale = GREYS_DARK if st.context.theme.type == "dark" else GREYS
    return sample_colorscale([list(stop) for stop in scale], np.clip(values, 0, 1).tolist())


def colour_load(values: Sequence[float | None], texts: Sequence[str], not_routed: str) -> Cells:
    """Cells of the load map: grey, and a digit for the tenths; greys never mean an effect."""
    known = [0.0 if value is None else value for value in values]
    colours = _grey(known)
    marks = [
        not_routed if value is None else f"{min(round(value * 10), 9)}" if value >= 0.05 else "" for value in values
    ]
    ramp = _grey(np.linspace(0, 1, 9).tolist())
    return Cells(colours, figures.ink_for(colours), marks, texts, ramp, "0", "1 share of choices (digits: tenths)")


def mark_shared(cells: Cells, names: Sequence[str]) -> Cells:
    """Cells of shared paths say so: no router shares out what they receive."""
    marks = [
        "all" if name.endswith(".SHARED") and mark == "9" else mark
        for name, mark in zip(names, cells.marks, strict=True)
    ]
    return replace(cells, marks=marks)


def mark_not_routed(cells: Cells, not_routed: str) -> Cells:
    """Cells without a value get a mark of their own, because not tested is not zero."""
    return replace(cells, marks=[not_routed if mark == "·" else mark for mark in cells.marks])


def split_bars(rows: Sequence[tuple[str, MaskSplit]], *, unit: str) -> go.Figure:
    """Three bars per expert with their intervals."""
    names = figures.wrap_names([name for name, _ in rows][::-1])
    figure = figures.new_figure()
    for field, title in reversed(PARTS.items()):
        found = [getattr(split, field) for _, split in rows][::-1]
        figure.add_bar(
            y=names, x=[one.value for one in found], orientation="h", name=title,
            marker={"color": _COLOURS[field], "pattern_shape": _SHAPES[field], "line": {"color": figures.INK, "width": 1}},
            error_x=figures.interval_bars([(one.value, one.low, one.high) for one in found], True),
            hovertemplate="%{y}, " + title + ": %{x:+.3f} " + unit + "<extra></extra>",
        )  # fmt: skip
    figures.style_figure(figure, 90 + 52 * len(rows), f"Loss of the metric ({unit})", "")
    return figure.update_layout(
        showlegend=True, legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "traceorder": "reversed"},
        margin_t=40, barmode="group",
    )  # fmt: skip


def trace_map(trace: Sequence[RoutedToken], tokens: Sequence[str]) -> go.Figure:
    """Tokens by layers; each cell names the expert with the largest weight."""
    layers = sorted({one.layer for one in trace})
    weights = np.full((len(tokens), len(layers)), np.nan)
    names = [["" for _ in layers] for _ in tokens]
    for one in trace:
        row, column = one.position, layers.index(one.layer)
        weights[row, column] = one.weights[0]
        names[row][column] = f"E{one.experts[0]}"
    labels = figures.label_tokens(tokens)
    scale = GREYS_DARK if st.context.theme.type == "dark" else GREYS
    figure = figures.new_figure(
        go.Heatmap(
            z=weights, x=[f"L{layer}" for layer in layers], y=list(range(len(tokens))), zmin=0, zmax=1,
            colorscale=[list(stop) for stop in scale], text=names, texttemplate="%{text}",
            colorbar={"thickness": 10, "title": {"text": "weight"}, "tickfont": {"size": figures.TEXT_PX}},
            hovertemplate="%{x}, token %{y}: %{text}, weight %{z:.2f}<extra></extra>",
        )
    )  # fmt: skip
    figures.style_figure(figure, 120 + 24 * len(tokens), "Layer", "")
    return figure.update_yaxes(
        autorange="reversed", tickmode="array", tickvals=list(range(len(tokens))), ticktext=labels
    )
