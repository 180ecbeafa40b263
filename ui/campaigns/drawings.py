"""A campaign as a picture: predicted and spent seconds by model and audit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from audit_core.campaigns import CampaignStatus, QuestionState
from ui.parts import figures

# A colour, a pattern and the word in the bar say the same, so that none is needed alone.
_STYLES = {
    QuestionState.DONE: ("rgba(75, 111, 156, {})", ""),
    QuestionState.REUSED: ("rgba(75, 111, 156, {})", "/"),
    QuestionState.BEGUN: ("rgba(125, 133, 144, {})", "|"),
    QuestionState.WAITING: ("rgba(125, 133, 144, {})", "."),
    QuestionState.NOT_MEASURED: ("rgba(202, 138, 4, {})", "\\"),
    QuestionState.REFUSED: ("rgba(202, 138, 4, {})", "+"),
    QuestionState.FAILED: ("rgba(194, 65, 12, {})", "x"),
}
_FILL, _LINES = 0.3, 0.45
_ROW_PX, _FRAME_PX, MOST_ROWS = 36, 90, 12
_NAME = 34


def name_state(state: QuestionState) -> str:
    """A state in words."""
    return state.value.replace("_", " ")


def name_row(model: str, audit: str) -> str:
    """Label of a model and an audit, short enough for an axis."""
    whole = f"{audit}, {Path(model).name}"
    return whole if len(whole) <= _NAME else f"{whole[: _NAME - 1]}…"


def list_rows(status: CampaignStatus) -> Sequence[tuple[str, str]]:
    """Model and audit of each row of the picture; the table has those beyond `MOST_ROWS`."""
    return [(cost.model, cost.audit) for cost in status.costs][:MOST_ROWS]


def draw_states(status: CampaignStatus) -> Any:
    """Bars by model and audit, stacked by the state of their questions."""
    rows = list_rows(status)
    names = [name_row(*row) for row in rows]
    figure = figures.new_figure()
    for state, (colour, shape) in _STYLES.items():
        numbers = [
            sum((line.model, line.audit) == row and line.state is state for line in status.lines) for row in rows
        ]
        if not any(numbers):
            continue
        word = name_state(state)
        figure.add_trace(
            go.Bar(
                y=names, x=numbers, name=word, orientation="h", hovertemplate="%{y}, " + word + ": %{x}<extra></extra>",
                text=[f"{number} {word}" if number else "" for number in numbers], textposition="inside", insidetextanchor="middle",
                marker={
                    "color": colour.format(_FILL), "line": {"color": figures.INK, "width": 1},
                    "pattern": {"shape": shape, "bgcolor": colour.format(_FILL), "fgcolor": colour.format(_LINES),
                                "size": 10, "solidity": 0.15},
                },
            )
        )  # fmt: skip
    figures.style_figure(figure, _FRAME_PX + _ROW_PX * len(rows), "questions", "")
    figure.update_layout(
        barmode="stack", showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    )
    figure.update_yaxes(autorange="reversed", type="category")
    most = max(sum((line.model, line.audit) == row for line in status.lines) for row in rows)
    # Ticks between whole numbers would be written as whole numbers.
    figure.update_xaxes(rangemode="tozero", tickformat="d", dtick=1 if most <= 10 else None)
    return figure
