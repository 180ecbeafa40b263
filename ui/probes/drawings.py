"""Figures over the layers: accuracy of probes in one, losses by edits in the other, never in one figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from audit_core import Estimate
from audit_core.probes import Position, ProbeSite, ProbesResult
from audit_core.tables import import_pandas
from ui.parts.figures import EFFECT, INK, TEXT_PX, interval_bars, style_figure

POSITIONS = {Position.LABEL.value: "at the label's token", Position.LAST.value: "at the last token"}
_ROW_PX = 190


@dataclass(frozen=True)
class Line:
    """One series over the layers."""

    name: str
    symbol: str
    dash: str
    values: Sequence[Estimate | None]
    """One per site; None where it was not measured."""
    is_faint: bool = False


def draw_decoded(found: ProbesResult) -> go.Figure:
    """Held-out accuracy, and that on random labels, over the layers."""

    def list_lines(sites: Sequence[ProbeSite]) -> list[Line]:
        lines = [Line("held-out accuracy", "circle", "solid", [site.accuracy for site in sites])]
        if any(site.control for site in sites):
            lines.append(Line("random labels", "circle-open", "dot", [site.control for site in sites], True))
        return lines

    bound = found.chance + found.delta
    figure = _stack(found, list_lines, INK, ((bound, f"needed<br>{bound:.2f}"),))
    figure.update_yaxes(range=[0.3, 1.05])
    return _finish(figure, "Share of the texts", len(list_shown(found)))


def draw_edits(found: ProbesResult) -> go.Figure:
    """Share of the lead lost when the label is erased and when it is swapped, and the largest random loss."""

    def of_random(values: Sequence[float | None]) -> list[Estimate | None]:
        return [
            None if value is None else Estimate(value, None, None, found.n_edited, found.unit, None) for value in values
        ]

    def list_lines(sites: Sequence[ProbeSite]) -> list[Line]:
        worst = [
            None if site.erased_random is None or site.swapped_random is None else max(site.erased_random, site.swapped_random)
            for site in sites
        ]  # fmt: skip
        return [
            Line("erased", "diamond", "solid", [site.erased for site in sites]),
            Line("swapped", "square", "dash", [site.swapped for site in sites]),
            Line("largest of the random subspaces", "x", "dot", of_random(worst), True),
        ]

    figure = _stack(found, list_lines, EFFECT, ((found.delta, "δ"),))
    figure.update_yaxes(matches="y")
    return _finish(figure, "Share of the lead lost", len(list_shown(found)))


def list_shown(found: ProbesResult) -> list[str]:
    """Positions of a result, in order."""
    return list(dict.fromkeys(site.position for site in found.sites))


def _stack(
    found: ProbesResult,
    list_lines: Callable[[Sequence[ProbeSite]], list[Line]],
    colour: str,
    marks: Sequence[tuple[float, str]],
) -> go.Figure:
    positions = list_shown(found)
    import_pandas()
    figure = make_subplots(
        rows=len(positions), cols=1, shared_xaxes=True, vertical_spacing=0.14,
        subplot_titles=[POSITIONS[position] for position in positions],
    )  # fmt: skip
    for row, position in enumerate(positions, 1):
        sites = [site for site in found.sites if site.position == position]
        layers = [site.layer for site in sites]
        for line in list_lines(sites):
            known = [(layer, value) for layer, value in zip(layers, line.values, strict=True) if value is not None]
            figure.add_scatter(
                row=row, col=1, x=[layer for layer, _ in known], y=[value.value for _, value in known], name=line.name,
                mode="lines+markers", showlegend=row == 1, legendgroup=line.name,
                line={"dash": line.dash, "width": 1.5, "color": INK if line.is_faint else colour},
                marker={"symbol": line.symbol, "size": 9, "color": INK if line.is_faint else colour, "line": {"width": 1.5}},
                error_y=interval_bars([(one.value, one.low, one.high) for _, one in known], not line.is_faint),
                hovertemplate=f"layer %{{x}}, {line.name}: %{{y:.3f}}<extra></extra>",
            )  # fmt: skip
        for at, words in marks:
            figure.add_hline(row=row, col=1, y=at, line={"dash": "dash", "color": INK, "width": 1})
            figure.add_annotation(
                row=row, col=1, x=1, xref="x domain", y=at, text=words, xanchor="left", yanchor="middle", xshift=4, showarrow=False,
                font={"size": TEXT_PX},
            )  # fmt: skip
    return figure


def _finish(figure: go.Figure, y: str, rows: int) -> go.Figure:
    style_figure(figure, 90 + _ROW_PX * rows, "", y)
    axis = {
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
        "linecolor": INK,
        "ticks": "outside",
        "tickcolor": INK,
    }
    figure.update_xaxes(**axis).update_yaxes(**axis, title_text=y)
    figure.update_xaxes(title_text="Layer", row=rows, col=1)
    figure.update_annotations(font_size=TEXT_PX)
    # Room above for the first position's title, at the right for the names of the dashed lines, below for the legend.
    return figure.update_layout(margin_t=28, margin_r=56, showlegend=True, legend={"orientation": "h", "y": -0.16})
