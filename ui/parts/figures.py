"""Style of all figures. Attention uses Cividis and effects use PuOr, so the two never share a colour."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray
from plotly.colors import sample_colorscale

from audit_core import Estimate
from audit_core.tables import import_pandas
from ui.parts.figure_download import offer_image
from ui.parts.figure_labels import place_names

PUOR = (
    (0.0, "#7f3b08"), (0.15, "#b35806"), (0.3, "#e08214"), (0.42, "#fdb863"), (0.5, "#f7f7f7"),
    (0.58, "#b2abd2"), (0.7, "#8073ac"), (0.85, "#542788"), (1.0, "#2d004b"),
)  # fmt: skip
"""Orange for negative, purple for positive: over 100 ΔE between signs for normal, deutan and protan vision."""
PUOR_DARK = (
    (0.0, "#fdc57f"), (0.15, "#f09a33"), (0.3, "#b86a14"), (0.42, "#6b3f14"), (0.5, "#262b33"),
    (0.58, "#41356b"), (0.7, "#6f5fb0"), (0.85, "#a497d8"), (1.0, "#dcd6f5"),
)  # fmt: skip
"""The same hues on a dark page, where zero is dark and a strong effect is light."""
LOOKS = "Cividis"
MIN_EFFECT_RANGE = 1.0
"""Smallest half-width of an effect axis, in the metric's unit: otherwise a hundredth of a logit would fill a figure."""
INK = "#7d8590"
"""Colour of axes, lines and marks, readable on light and dark."""
TEXT = {"light": "#1b1f24", "dark": "#e8eaed"}
"""Colour of a figure's text by theme, because no one grey reaches 4.5 to 1 on both."""
EFFECT = "#8064b8"
"""A purple of the effect scale for marks: 4.7 to 1 on the light page, 3.8 to 1 on the dark one."""
TEXT_PX = 12
"""Smallest text of a figure."""
_AXIS_PX = 56
"""Height of the tick labels and the title below a plot."""


@dataclass(frozen=True)
class Point:
    """One head in the scatter plot of attention against effect."""

    name: str
    mass: float
    mass_low: float | None
    mass_high: float | None
    support: float
    support_low: float | None
    support_high: float | None
    is_chosen: bool


def colour_attention(values: NDArray[np.float64]) -> list[str]:
    """Cividis colours for values in 0–1."""
    return sample_colorscale(LOOKS, np.clip(values, 0, 1).tolist())


def colour_effect(values: NDArray[np.float64], limit: float, *, is_dark: bool = False) -> list[str]:
    """PuOr colours, symmetric around zero."""
    return sample_colorscale(
        [list(stop) for stop in (PUOR_DARK if is_dark else PUOR)], np.clip(values / limit / 2 + 0.5, 0, 1).tolist()
    )


def ink_for(colours: Sequence[str]) -> list[str]:
    """Black or white text, whichever is readable on each background."""
    inks = []
    for colour in colours:
        red, green, blue = (float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3])
        inks.append("#111111" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff")
    return inks


def new_figure(*traces: Any) -> go.Figure:
    """An empty figure, or one of these traces; every figure of the pages begins here.

    Plotly uses the pandas that it finds imported, and fails on one that another thread has imported only halfway.
    """
    import_pandas()
    return go.Figure(*traces)


def show(figure: go.Figure, key: str, alt: str, **options: Any) -> Any:
    """Draw a Plotly figure with its text alternative, and two buttons that download it as SVG or PNG, in the browser.

    Every chart of the pages goes through this function, as `figures.show(figures.layer_bars(…), "layers", "Bars per …")`.
    Below it belongs `table_with_csv`, as a screen reader and a keyboard reach the numbers there.

    Args:
        key: unique on the page; also the name of the downloaded file.
        alt: what is drawn, and where the numbers are; plain text, of our own words only.
        options: passed to `st.plotly_chart`, such as `on_select` and `selection_mode`.

    Returns:
        What `st.plotly_chart` returns.
    """
    ink = TEXT["dark" if st.context.theme.type == "dark" else "light"]
    figure.update_layout(font_color=ink, legend_font_color=ink)
    figure.update_xaxes(tickfont_color=ink, title_font_color=ink)
    figure.update_yaxes(tickfont_color=ink, title_font_color=ink)
    figure.update_traces(textfont_color=ink, selector={"type": "scatter"})
    figure.update_traces(textfont_color=ink, selector={"type": "bar"})
    config = {"displaylogo": False, "modeBarButtons": [["toImage"]]}
    found = st.plotly_chart(figure, key=key, alt=alt, config=config, **options)
    offer_image(key, alt)
    return found


def style_figure(figure: go.Figure, height: int, x: str, y: str) -> go.Figure:
    """Give a figure its height, axis titles, and text of at least 12 px; the theme colours the text."""
    text = {"size": TEXT_PX}
    axis = {
        "showgrid": False, "zeroline": False, "automargin": True, "linecolor": INK, "ticks": "outside",
        "tickcolor": INK, "tickfont": text, "title_font": {"size": TEXT_PX + 1},
    }  # fmt: skip
    figure.update_layout(
        font=text,
        hoverlabel_font=text,
        legend_font=text,
        # With less height the axis title overlaps the tick labels.
        height=max(height, 150),
        margin={"l": 8, "r": 8, "t": max(16, figure.layout.margin.t or 0), "b": 8},
        showlegend=False,
        hoverlabel_align="left",
        xaxis={**axis, "title_text": x},
        yaxis={**axis, "title_text": y},
    )
    return figure


def mark_values(figure: go.Figure, lines: Sequence[tuple[float, str]]) -> None:
    """Dashed vertical lines, their labels above the plot: beside each other for two, else stacked, so that none overlap."""
    ranked = sorted(lines)
    for i, (at, text) in enumerate(ranked):
        figure.add_vline(x=at, line={"color": INK, "dash": "dash", "width": 1})
        anchor, level = ("center", i) if len(ranked) != 2 else ("right" if i == 0 else "left", 0)
        figure.add_annotation(
            x=at, y=1, yref="paper", yanchor="bottom", xanchor=anchor, yshift=level * (TEXT_PX + 4), text=text, showarrow=False,
            font={"size": TEXT_PX},
        )  # fmt: skip
    if ranked:
        figure.update_layout(margin_t=24 + (TEXT_PX + 4) * (0 if len(ranked) == 2 else len(ranked) - 1))


_BAND = 0.13
"""Share of the scatter's height kept free of marks above and below, for the names of the quadrants."""
_SCATTER_PX = 340


def scatter_axes(points: Sequence[Point], *, unit: str, mass_line: float, support_line: float) -> go.Figure:
    """Attention mass against effect, one mark per head; dashed lines cut the quadrants, named where there is no mark."""
    figure = new_figure()
    wide, high = _reach(points, mass_line, support_line)
    for chosen, symbol, size in ((False, "circle-open", 7), (True, "diamond", 12)):
        group = [p for p in points if p.is_chosen is chosen]
        spots = [((p.mass - wide[0]) / (wide[1] - wide[0]), (p.support - high[0]) / (high[1] - high[0])) for p in group]
        names = [p.name for p in group]
        figure.add_scatter(
            x=[p.mass for p in group], y=[p.support for p in group], mode="markers+text" if chosen else "markers",
            text=names, textposition=place_names(names, spots, height_px=_SCATTER_PX) if chosen else None, customdata=names,
            textfont={"size": TEXT_PX},
            marker={"symbol": symbol, "size": size, "color": "#0072B2" if chosen else INK, "line": {"width": 1.5}},
            error_x=interval_bars([(p.mass, p.mass_low, p.mass_high) for p in group], chosen),
            error_y=interval_bars([(p.support, p.support_low, p.support_high) for p in group], chosen),
            hovertemplate="%{text}<br>attention mass %{x:.3f}<br>effect %{y:+.3f} " + unit + "<extra></extra>",
        )  # fmt: skip
    figure.add_vline(x=mass_line, line={"dash": "dash", "color": INK, "width": 1})
    for level in (support_line, -support_line):
        figure.add_hline(y=level, line={"dash": "dash", "color": INK, "width": 1})
    for x, y, across, up, text in (
        (1, 1, "right", "top", "attends<br>and acts"), (0, 1, "left", "top", "acts,<br>hardly attends"), (1, 0, "right", "bottom", "attends,<br>opposes"),
    ):  # fmt: skip
        figure.add_annotation(
            x=x, y=y, xref="paper", yref="paper", xanchor=across, yanchor=up, align=across, text=text, showarrow=False,
            font={"size": TEXT_PX},
        )  # fmt: skip
    # Between the dashed lines there is no free band: its name is in the margin.
    figure.add_annotation(
        x=1, y=0, xref="paper", xanchor="left", textangle=90, text="attends, little effect", showarrow=False, font={"size": TEXT_PX}
    )  # fmt: skip
    figure.update_xaxes(range=wide)
    figure.update_yaxes(range=high)
    style_figure(figure, 420, "Attention: mass on the source token (0–1)", f"Causal effect ({unit})")
    return figure.update_layout(margin_r=26)


def _reach(points: Sequence[Point], mass_line: float, support_line: float) -> tuple[list[float], list[float]]:
    """Ranges of both axes, with a band free of marks above and below."""
    right = max([p.mass_high or p.mass for p in points] + [mass_line, 0.1])
    ends = [end for p in points for end in (p.support, p.support_low, p.support_high) if end is not None]
    top, bottom = max([*ends, support_line]), min([*ends, -support_line])
    band = (top - bottom or MIN_EFFECT_RANGE) * _BAND / (1 - 2 * _BAND)
    return [-0.05 * right, 1.05 * right], [bottom - band, top + band]


def wrap_names(names: Sequence[str]) -> list[str]:
    """Names of rows in lines of at most 24 letters, so that a phone shows them whole; they may be untrusted."""
    return ["<br>".join(html.escape(line, quote=False) for line in textwrap.wrap(name, 24)) or " " for name in names]


def interval_bars(rows: Sequence[tuple[float, float | None, float | None]], chosen: bool) -> dict[str, object]:
    if any(low is None or high is None for _, low, high in rows) or not rows:
        return {"visible": False}
    return {
        "type": "data", "symmetric": False, "thickness": 1.2 if chosen else 0.5, "width": 0,
        "array": [(high or 0) - value for value, _, high in rows],
        "arrayminus": [value - (low or 0) for value, low, _ in rows],
    }  # fmt: skip


def scatter_screen(
    names: Sequence[str], guess: NDArray, exact: NDArray, missed: NDArray, invented: NDArray, *, unit: str
) -> go.Figure:
    """Estimated against measured effect; marks differ in shape where the two disagree."""
    figure = new_figure()
    groups = (
        (~(missed | invented), "circle-open", "agree"),
        (missed, "square", "missed"),
        (invented, "x", "overestimated"),
    )
    for members, symbol, word in groups:
        figure.add_scatter(
            x=guess[members], y=exact[members], mode="markers", name=word, text=np.asarray(names)[members],
            marker={"symbol": symbol, "size": 9, "color": INK if word == "agree" else "#0072B2", "line": {"width": 1.5}},
            hovertemplate="%{text}, " + word + "<br>estimated %{x:+.3f}<br>measured %{y:+.3f} " + unit + "<extra></extra>",
        )  # fmt: skip
    far = float(max(np.abs(guess).max(), np.abs(exact).max(), MIN_EFFECT_RANGE))
    figure.add_scatter(
        x=[-far, far], y=[-far, far], mode="lines", line={"dash": "dash", "color": INK, "width": 1}, hoverinfo="skip"
    )
    return style_figure(figure, 400, "Estimated effect (logits)", f"Measured effect ({unit})")


def layer_bars(layers: Sequence[Estimate], *, unit: str) -> go.Figure:
    """Added effects per layer with their intervals, towards the answer above zero and against it below."""
    values = np.array([estimate.value for estimate in layers])
    limit = max(float(np.abs(values).max()), MIN_EFFECT_RANGE)
    figure = new_figure(
        go.Bar(
            x=list(range(len(layers))), y=values,
            marker={"color": colour_effect(values, limit), "line": {"color": INK, "width": 1}},
            error_y=interval_bars([(e.value, e.low, e.high) for e in layers], True),
            hovertemplate="layer %{x}: %{y:+.3f} " + unit + "<extra></extra>",
        )
    )  # fmt: skip
    return style_figure(figure, 280, "Layer", f"Added effects ({unit})")


def label_tokens(tokens: Sequence[str]) -> list[str]:
    """Position and token; Plotly reads some HTML in labels, and tokens are untrusted."""
    return [f"{i} {html.escape(repr(token), quote=False)}" for i, token in enumerate(tokens)]


def verdict_figure(
    families: Sequence[tuple[str, Estimate]], *, delta: float, null: Sequence[float], primary: str
) -> go.Figure:
    """Each family's interval against ±δ, the deciding one on top, and below them one tick per random set."""
    figure = new_figure()
    names = [f"{family}, decides" if family == primary else family for family, _ in families]
    ranked = sorted(names, key=lambda name: not name.endswith(", decides"))
    figure.add_scatter(
        x=[e.value for _, e in families], y=names, mode="markers",
        marker={"size": 11, "symbol": ["diamond" if f == primary else "circle" for f, _ in families], "color": EFFECT},
        error_x=interval_bars([(e.value, e.low, e.high) for _, e in families], True), showlegend=False,
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )  # fmt: skip
    if null:
        figure.add_scatter(
            x=list(null), y=["random sets"] * len(null), mode="markers", showlegend=False,
            marker={"size": 12, "symbol": "line-ns-open", "color": INK, "line": {"width": 1}},
            hovertemplate="a random set: %{x:.3f}<extra></extra>",
        )  # fmt: skip
    mark_values(figure, ((delta, "δ"), (-delta, "−δ")))
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    # As listed, from top to bottom; a category axis counts upwards.
    rows = [*ranked, "random sets"] if null else ranked
    figure.update_yaxes(
        autorange="reversed", type="category", categoryorder="array", categoryarray=rows,
        tickmode="array", tickvals=rows, ticktext=wrap_names(rows),
    )  # fmt: skip
    return style_figure(figure, 240, families[0][1].unit[0].upper() + families[0][1].unit[1:], "")


def interval_rows(
    names: Sequence[str],
    series: Sequence[tuple[str, str, Sequence[Estimate | None]]],
    *,
    unit: str,
    lines: Sequence[tuple[float, str]],
    is_effect: bool,
    is_overlaid: bool = False,
) -> go.Figure:
    """Estimates with their intervals, one row per name; several per row differ in marker shape, as the legend shows.

    Args:
        series: name, Plotly marker symbol, one estimate per name or None.
        lines: positions of dashed lines, each with its label.
        is_effect: whether to use the effect colour instead of the ink colour.
        is_overlaid: whether every name has an estimate in one series at most, so that all are in the middle of their rows.
    """
    figure = new_figure()
    step = 0.0 if is_overlaid else 0.8 / max(1, len(series))
    for at, (label, symbol, estimates) in enumerate(series):
        known = [(row, e) for row, e in enumerate(estimates) if e is not None]
        figure.add_scatter(
            x=[e.value for _, e in known], y=[row + step * (at - (len(series) - 1) / 2) for row, _ in known], mode="markers",
            name=label, text=[names[row] for row, _ in known],
            marker={"size": 10, "symbol": symbol, "color": EFFECT if is_effect else INK, "line": {"width": 1.5}},
            error_x=interval_bars([(e.value, e.low, e.high) for _, e in known], True),
            hovertemplate="%{text}, " + label + ": %{x:.3f}<extra></extra>",
        )  # fmt: skip
    mark_values(figure, lines)
    labels = wrap_names(names)
    row = max(30 if is_overlaid else 15 * max(1, len(series)), (TEXT_PX + 4) * _count_lines(labels) + 4)
    height = max(240, 90 + row * len(names))
    style_figure(figure, height, unit, "")
    if len(series) > 1:
        add_legend(figure, len(series))
    ticks = {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": labels}
    return figure.update_yaxes(**ticks, range=[len(names) - 0.5, -0.5])


def add_legend(figure: go.Figure, n: int) -> go.Figure:
    """Make the figure higher by a legend of `n` entries, below the title of its horizontal axis.

    Plotly places a legend by shares of the plot's height, and the title by pixels: on a phone, where each entry has a line of its own and the
    plot is low, a fixed share would draw one over the other.
    """
    height = figure.layout.height
    below = -_AXIS_PX / (height - _AXIS_PX - 24)
    return figure.update_layout(
        height=height + (TEXT_PX + 8) * n, showlegend=True, legend={"orientation": "h", "y": below, "yanchor": "top"}
    )


def _count_lines(labels: Sequence[str]) -> int:
    return max((label.count("<br>") + 1 for label in labels), default=1)


def share_bars(names: Sequence[str], shares: Sequence[Estimate]) -> go.Figure:
    """Shares between 0 and 1 as points with their intervals, first name on top."""
    labels = wrap_names(names)
    figure = new_figure(
        go.Scatter(
            x=[share.value for share in shares], y=labels, mode="markers",
            marker={"size": 10, "symbol": "diamond", "color": EFFECT},
            error_x=interval_bars([(s.value, s.low, s.high) for s in shares], True),
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed")
    styled = style_figure(figure, 70 + max(46, 17 * _count_lines(labels)) * len(names), "Share of samples", "")
    return styled.update_xaxes(range=[-0.03, 1.03])
