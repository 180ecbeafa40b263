"""The register as a picture: findings by severity and status, with overdue ones as a status of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any

import plotly.graph_objects as go

from audit_core.store import RegisteredFinding
from ui.parts import figures

STATUSES = ("overdue", "open", "in remediation", "accepted", "closed")
"""In the order drawn, the most urgent first."""
# A colour, a pattern and the word in the bar say the same, so that none is needed alone.
# Thin fills, so that the text in a bar is read on a light and on a dark page.
_STYLES = {
    "overdue": ("rgba(194, 65, 12, {})", "x"),
    "open": ("rgba(75, 111, 156, {})", ""),
    "in remediation": ("rgba(75, 111, 156, {})", "/"),
    "accepted": ("rgba(125, 133, 144, {})", "."),
    "closed": ("rgba(125, 133, 144, {})", ""),
}
_FILL, _LINES = 0.3, 0.45
"""Opacity of a bar and of its pattern."""
_ROW_PX, _FRAME_PX = 44, 80


def name_status(one: RegisteredFinding, today: date) -> str:
    """Status as drawn."""
    return "overdue" if one.is_overdue(today) else one.status.value.replace("_", " ")


def order_severities(findings: Sequence[RegisteredFinding], names: Sequence[str]) -> tuple[str, ...]:
    """Severities of the policy, the most severe first, then those that only findings have."""
    return tuple(dict.fromkeys((*names, *(one.severity for one in findings))))


def draw_register(findings: Sequence[RegisteredFinding], names: Sequence[str], today: date) -> Any:
    """Bars by severity, stacked by status."""
    rows = order_severities(findings, names)
    counts = Counter((one.severity, name_status(one, today)) for one in findings)
    figure = figures.new_figure()
    for status in STATUSES:
        numbers = [counts[name, status] for name in rows]
        if not any(numbers):
            continue
        colour, shape = _STYLES[status]
        figure.add_trace(
            go.Bar(
                y=list(rows), x=numbers, name=status, orientation="h", hovertemplate="%{y}, " + status + ": %{x}<extra></extra>",
                text=[f"{number} {status}" if number else "" for number in numbers], textposition="inside", insidetextanchor="middle",
                marker={
                    "color": colour.format(_FILL), "line": {"color": figures.INK, "width": 1},
                    "pattern": {"shape": shape, "bgcolor": colour.format(_FILL), "fgcolor": colour.format(_LINES),
                                "size": 10, "solidity": 0.15},
                },
            )
        )  # fmt: skip
    figures.style_figure(figure, _FRAME_PX + _ROW_PX * len(rows), "findings", "")
    figure.update_layout(
        barmode="stack", showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    )
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(dtick=max(1, len(findings) // 8), rangemode="tozero")
    return figure
