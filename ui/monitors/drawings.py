"""Figures of monitors: rates beside the baselines, scores of one text, and the causal step; no figure joins them."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from audit_core import Estimate
from audit_core.monitors import NAMES, CausalStep, Monitor, MonitorCheck
from ui.parts.figure_labels import mark_tokens
from ui.parts.figures import INK, interval_rows, label_tokens, new_figure, style_figure

_HEIGHT = 330


def draw_rates(monitor: Monitor) -> go.Figure:
    """Detection and false alarms of the monitor and of each output-only baseline, at one false-alarm rate."""
    report = monitor.report
    found = [report.found, *(one.found for one in report.baselines)]
    return interval_rows(
        ["the monitor", *(NAMES[one.signal] for one in report.baselines)],
        [
            ("cases detected", "circle", [one.detection for one in found]),
            ("false alarms", "x", [one.false_alarms for one in found]),
        ],
        unit="Share of texts", lines=((monitor.recipe.rate, "stated false-alarm rate"),), is_effect=False,
    )  # fmt: skip


def draw_styles(check: MonitorCheck) -> go.Figure:
    """False alarms of the monitor and of its best baseline by style, on texts that it has never seen."""
    return interval_rows(
        [one.style for one in check.styles],
        [
            ("the monitor", "x", [one.false_alarms for one in check.styles]),
            (NAMES[check.baseline], "circle", [one.baseline_alarms for one in check.styles]),
        ],
        unit="Share of normal texts with an alarm", lines=((check.rate, "stated false-alarm rate"),), is_effect=False,
    )  # fmt: skip


def draw_tokens(
    pieces: Sequence[str], scores: Sequence[float], threshold: float, *, onset: int | None, alarm: int | None
) -> go.Figure:
    """Score of every token but the first, with the threshold, the onset of the case and the alarm."""
    labels = label_tokens(list(pieces))
    at = range(1, len(pieces))
    figure = new_figure()
    figure.add_scatter(
        x=[labels[one] for one in at], y=[scores[one] for one in at], mode="lines+markers", name="score", line={"color": INK, "width": 1.5},
        marker={"size": 6, "color": INK}, hovertemplate="token %{x}: %{y:.3f}<extra></extra>",
    )  # fmt: skip
    if alarm is not None:
        figure.add_scatter(
            x=[labels[alarm]], y=[scores[alarm]], mode="markers", name="alarm", showlegend=False,
            marker={"size": 14, "symbol": "diamond-open", "color": INK, "line": {"width": 3}},
            hovertemplate="alarm at token %{x}<extra></extra>",
        )  # fmt: skip
    figure.add_hline(
        y=threshold, line={"dash": "dash", "color": INK}, annotation_text="threshold", annotation_position="bottom left"
    )
    if onset is not None:
        figure.add_vline(
            # Counted from the first scored token, and between two of them.
            x=onset - 1.5,
            line={"dash": "dot", "color": INK},
            annotation_text="onset",
            annotation_position="top left",
        )
    return mark_tokens(style_figure(figure, _HEIGHT, "Token", "Score"))


def draw_causal(step: CausalStep) -> go.Figure:
    """Change of the loss without the direction, without the strongest random one, and without the whole activation."""
    largest = Estimate(step.largest_random, None, None, step.ablated.n, step.ablated.unit, None)
    return interval_rows(
        ["direction of the monitor", f"strongest of {step.draws} random directions", "whole activation (positive control)"],
        [("change of the loss", "diamond", [step.ablated, largest, step.whole])],
        unit="Change of the loss, in nats per token", lines=(), is_effect=True,
    )  # fmt: skip
