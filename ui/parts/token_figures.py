"""Figures with a row for each token of a prompt; of a long prompt, as many as two screens have room for."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ui.parts.figure_labels import mark_tokens
from ui.parts.figures import (
    INK,
    LOOKS,
    MIN_EFFECT_RANGE,
    TEXT_PX,
    colour_attention,
    colour_effect,
    label_tokens,
    new_figure,
    style_figure,
)
from ui.parts.long_prompts import MOST_ROWS, pool_pattern


def pattern(weights: NDArray[np.float32], tokens: Sequence[str]) -> go.Figure:
    """One head's attention, query token by key token; of a long prompt, block of tokens by block."""
    cells, size = pool_pattern(weights)
    labels = label_tokens(tokens)
    if size > 1:
        ends = [min(at + size, len(tokens)) - 1 for at in range(0, len(tokens), size)]
        labels = [f"{at}–{end} {html.escape(repr(tokens[at]), quote=False)} …" for at, end in zip(range(0, len(tokens), size), ends, strict=True)]  # fmt: skip
    figure = new_figure(
        go.Heatmap(
            x=labels, z=cells, colorscale=LOOKS, zmin=0, zmax=1, colorbar={"thickness": 10, "title": {"text": "share of<br>attention"}, "tickfont": {"size": TEXT_PX}},
            hovertemplate="from %{customdata[0]}<br>to %{customdata[1]}<br>%{z:.3f} of its attention<extra></extra>",
            customdata=[[[query, key] for key in labels] for query in labels],
        )
    )  # fmt: skip
    each = -(-len(labels) // MOST_ROWS)
    ticks = {
        "tickmode": "array",
        "tickvals": list(range(0, len(labels), each)),
        "ticktext": [labels[at] for at in range(0, len(labels), each)],
    }
    rows = min(len(labels), MOST_ROWS)
    style_figure(figure, max(380, 150 + 18 * rows), "Key token (attended to)", "Query token (attending)")
    mark_tokens(figure)
    return figure.update_yaxes(**ticks, autorange="reversed")


def token_bars(
    values: Sequence[float], tokens: Sequence[str], *, unit: str, is_effect: bool, rows: Sequence[int] | None = None
) -> go.Figure:
    """One bar per key token: attention (Cividis, 0–1) or effect (PuOr, symmetric).

    Args:
        rows: positions that are drawn; all by default.
    """
    drawn = list(range(len(tokens)) if rows is None else rows)
    numbers = np.asarray(values, float)[drawn]
    limit = max(float(np.abs(numbers).max()), MIN_EFFECT_RANGE)
    colours = colour_effect(numbers, limit) if is_effect else colour_attention(numbers)
    labels = label_tokens(tokens)
    figure = new_figure(
        go.Bar(
            x=numbers, y=[labels[at] for at in drawn], orientation="h",
            marker={"color": colours, "line": {"color": INK, "width": 1}},
            text=[f"{round(v, 2) + 0.0:+.2f}" if is_effect else f"{v:.2f}" for v in numbers], textposition="outside", cliponaxis=False,
            textfont={"size": TEXT_PX},
            hovertemplate="%{y}: %{x:.3f} " + unit + "<extra></extra>",
        )
    )  # fmt: skip
    style_figure(figure, 70 + 24 * max(8, len(drawn)), unit[:1].upper() + unit[1:], "")
    pad = 1.35 * limit
    figure.update_xaxes(range=[-pad, pad] if is_effect else [0, 1.12])
    # Every token is named, in the order of the prompt, so that two such figures side by side have the same rows.
    return figure.update_yaxes(autorange="reversed", dtick=1)
