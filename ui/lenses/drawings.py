"""Figures of lenses: what is read in one, what replacing does in the other, never in one figure."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from audit_core import Estimate, parse_component
from audit_core.lenses import LensesResult, LensPart
from ui.parts.figures import EFFECT, INK, add_legend, interval_bars, interval_rows, new_figure, style_figure

SHOWN = 6
"""Parts shown by the size of what they write, and as many by the size of their effect."""
_LAYERS_PX = 330


def choose_parts(result: LensesResult) -> list[LensPart]:
    """The parts that write most and those whose replacement does most, in the order of the model; both panes show the same."""
    by_writing = sorted(result.parts, key=lambda part: -abs(part.direct.value))[:SHOWN]
    by_effect = sorted(result.parts, key=lambda part: -abs(part.measured.value))[:SHOWN]
    chosen = {part.component for part in by_writing + by_effect}
    shown = [part for part in result.parts if part.component in chosen]
    return sorted(shown, key=lambda part: parse_component(part.component).layer)


def draw_written(result: LensesResult) -> go.Figure:
    """What the chosen parts write to the logit difference."""
    parts = choose_parts(result)
    return _draw_parts(parts, [part.direct for part in parts], result.least_written, is_effect=False)


def draw_measured(result: LensesResult) -> go.Figure:
    """What replacing the same parts does."""
    parts = choose_parts(result)
    return _draw_parts(parts, [part.measured for part in parts], result.least_effect, is_effect=True)


def _draw_parts(parts: Sequence[LensPart], values: Sequence[Estimate], least: float, *, is_effect: bool) -> go.Figure:
    return interval_rows(
        [part.component for part in parts],
        [("replaced" if is_effect else "written", "diamond" if is_effect else "circle", values)],
        unit="Lead lost when replaced, logits" if is_effect else "Written to the lead, logits",
        lines=[(least, "δ"), (-least, "−δ")],
        is_effect=is_effect,
    )


def draw_lens(result: LensesResult) -> go.Figure:
    """The logit difference that each lens reads, over the layers."""
    carried = [(layer.layer, layer.jacobian) for layer in result.layers if layer.jacobian is not None]
    figure = _draw_layers(
        [(layer.layer, layer.lens) for layer in result.layers], "Lead read by the lens, logits", INK, "circle", result,
        name="logit lens" if carried else "",
    )  # fmt: skip
    return figure if not carried else add_legend(_add_layers(figure, carried, INK, "square-open", "Jacobian lens"), 2)


def draw_swaps(result: LensesResult) -> go.Figure:
    """The lead lost when the stream is that of the counterpart's run, over the layers."""
    rows = [(layer.layer, layer.measured) for layer in result.layers if layer.measured is not None]
    return _draw_layers(rows, "Lead lost when replaced, logits", EFFECT, "diamond", result)


def _draw_layers(
    rows: Sequence[tuple[int, Estimate]], y: str, colour: str, symbol: str, result: LensesResult, *, name: str = ""
) -> go.Figure:
    figure = _add_layers(new_figure(), rows, colour, symbol, name)
    figure.add_hline(y=0, line={"dash": "dash", "color": INK, "width": 1})
    figure = style_figure(figure, _LAYERS_PX, "Residual stream entering layer", y)
    # One axis for both panes, although no stream is replaced after the last layer; and no layer between two layers.
    last = max(layer.layer for layer in result.layers)
    figure.update_xaxes(range=[-0.05 * last, 1.05 * last], dtick=max(1, last // 6))
    return figure


def _add_layers(
    figure: go.Figure, rows: Sequence[tuple[int, Estimate]], colour: str, symbol: str, name: str
) -> go.Figure:
    figure.add_scatter(
        x=[layer for layer, _ in rows], y=[one.value for _, one in rows], mode="lines+markers", name=name, showlegend=bool(name),
        line={"width": 1.5, "color": colour, "dash": "dot" if "open" in symbol else "solid"}, marker={"symbol": symbol, "size": 8, "color": colour},
        error_y=interval_bars([(one.value, one.low, one.high) for _, one in rows], True),
        hovertemplate="layer %{x}: %{y:.3f}<extra></extra>",
    )  # fmt: skip
    return figure
