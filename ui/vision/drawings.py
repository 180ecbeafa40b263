"""Figures of the page Vision: an image with its maps, what changes do, and the same swap at every place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from audit_core.vision import ShownImage, VisionResult
from ui.parts import figures

COLUMNS = 3
_INK = ((0.0, "#e5e7eb"), (1.0, "#1b1f24"))
NAMES = {
    "swap": "region swapped",
    "remove": "region emptied",
    "move": "region moved",
    "rest": "all else emptied (control)",
}
"""Every change in words of a figure."""


def draw_maps(result: VisionResult, image: ShownImage) -> go.Figure:
    """The image and its maps, each map relative to its own largest size; the region is outlined."""
    titles = {row.method: row.title for row in result.maps}
    panels = [("Image", np.array(image.pixels, float), _INK), *(
        (titles[name], np.abs(np.array(grid)), figures.LOOKS) for name, grid in image.maps.items()
    )]  # fmt: skip
    n_rows = -(-len(panels) // COLUMNS)
    figures.new_figure()
    figure = make_subplots(
        n_rows, COLUMNS, subplot_titles=[name for name, _, _ in panels], horizontal_spacing=0.03, vertical_spacing=0.1
    )
    for at, (name, grid, scale) in enumerate(panels):
        row, column = 1 + at // COLUMNS, 1 + at % COLUMNS
        figure.add_trace(
            go.Heatmap(
                z=grid, colorscale=scale, zmin=0, zmax=float(grid.max()) or 1.0, showscale=False,
                hovertemplate=f"{name}, row %{{y}}, column %{{x}}: %{{z:.3g}}<extra></extra>",
            ),
            row=row, col=column,
        )  # fmt: skip
        _outline(figure, result.region, row, column)
    figures.style_figure(figure, 60 + 205 * n_rows, "", "")
    figure.update_xaxes(visible=False, title_text="")
    figure.update_yaxes(visible=False, autorange="reversed", title_text="")
    for axis in list(figure.select_yaxes()):
        axis.update(scaleanchor=axis.anchor, constrain="domain")
    figure.update_xaxes(constrain="domain")
    figure.add_annotation(
        text="Each map: dark is 0, light its own largest value", x=0, y=0, xref="paper", yref="paper", yshift=-8,
        xanchor="left", yanchor="top", showarrow=False,
    )  # fmt: skip
    figure.update_annotations(font_size=figures.TEXT_PX)
    return figure.update_layout(margin_t=30)


def _outline(figure: go.Figure, region: Sequence[int], row: int, column: int) -> None:
    """A white line around a dark one, so that it is seen on every background."""
    top, left, height, width = region
    for colour, thick in (("#ffffff", 5), ("#c2410c", 2)):
        figure.add_shape(
            type="rect", x0=left - 0.5, x1=left + width - 0.5, y0=top - 0.5, y1=top + height - 0.5,
            line={"color": colour, "width": thick}, row=row, col=column,
        )  # fmt: skip


def draw_changes(result: VisionResult) -> go.Figure:
    """Effect of every change with its interval, above the same swap at every other place."""
    figure = figures.interval_rows(
        [NAMES[arm.change] for arm in result.arms] + [f"same swap, {len(result.places)} other places"],
        [("effect", "circle", [*(arm.share for arm in result.arms), None])],
        unit="Loss, fraction of the logit difference",
        lines=((result.smallest, f"{result.smallest:g}"), (-result.smallest, f"−{result.smallest:g}")), is_effect=True,
    )  # fmt: skip
    spread = np.linspace(-0.28, 0.28, max(1, len(result.places)))
    figure.add_scatter(
        x=[place.effect / result.clean.value for place in result.places],
        y=[len(result.arms) + jitter for jitter in spread], mode="markers", showlegend=False,
        marker={"size": 6, "symbol": "x-thin", "color": figures.INK, "line": {"width": 1.5, "color": figures.INK}},
        text=[f"row {place.row}, column {place.column}" for place in result.places],
        hovertemplate="%{text}: %{x:.3f}<extra></extra>",
    )  # fmt: skip
    return figure


def draw_places(result: VisionResult) -> go.Figure:
    """Size of the same swap at every place, as numbers in a grid; the region is its first cell or outlined."""
    top, left = result.region[:2]
    cells = {(place.row, place.column): place.effect for place in result.places}
    cells[top, left] = result.arms[0].effect.value
    n_rows, n_columns = (1 + max(cell[axis] for cell in cells) for axis in (0, 1))
    grid = np.full((n_rows, n_columns), np.nan)
    for (row, column), effect in cells.items():
        grid[row, column] = effect
    limit = max(figures.MIN_EFFECT_RANGE, float(np.nanmax(np.abs(grid))))
    is_dark = st.context.theme.type == "dark"
    figure = figures.new_figure(
        go.Heatmap(
            z=grid, colorscale=figures.PUOR_DARK if is_dark else figures.PUOR, zmin=-limit, zmax=limit, showscale=False,
            xgap=2, ygap=2, hoverongaps=False,
            text=[["" if np.isnan(one) else f"{round(float(one), 1) + 0.0:.1f}" for one in row] for row in grid], texttemplate="%{text}",
            hovertemplate="row %{y}, column %{x}: %{z:.2f} logits<extra></extra>",
        )
    )  # fmt: skip
    figures.style_figure(figure, 90 + 40 * n_rows, "column of the upper left pixel", "row")
    figure.add_shape(
        type="rect", x0=left - 0.5, x1=left + 0.5, y0=top - 0.5, y1=top + 0.5, line={"color": "#c2410c", "width": 3}
    )
    return figure.update_yaxes(autorange="reversed", dtick=1).update_xaxes(dtick=1)
