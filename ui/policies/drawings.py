"""What a policy decides on the claims at hand, as a picture: a mark for each claim and criterion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from audit_core import make_table
from audit_core.governance import GateRow
from audit_core.review import TriedPack, TriedRow
from ui.parts import figures

RESULTS = {
    "MEETS": ("met", "✓", "circle", "rgba(75, 111, 156, .45)"),
    "DOES_NOT_MEET": ("not met", "✕", "square", "rgba(194, 65, 12, .35)"),
    "INCONCLUSIVE": ("open", "?", "diamond", "rgba(125, 133, 144, .18)"),
    "NOT_EVALUATED": ("not measured", "–", "circle-open", "rgba(125, 133, 144, .9)"),
    "INTEGRITY_FAILED": ("integrity failed", "!", "x", "rgba(194, 65, 12, .8)"),
}
"""Result of a row → word, sign, shape and colour: the sign alone is enough."""
COLUMNS = ("claim", "criterion", "counts", "before", "now", "number", "interval", "unit", "n", "asked for", "why")
_ROW_PX, _FRAME_PX, _MARK_PX, _RING_PX = 44, 175, 26, 36


def list_claim_rows(tried: Sequence[TriedPack]) -> list[TriedRow]:
    """Rows about one claim; those of a whole pack, such as its signatures, are no matter of thresholds."""
    return [row for pack in tried for row in pack.rows if row.claim_id]


def draw_trial(tried: Sequence[TriedPack]) -> Any:
    """A mark for each claim and criterion under the policy as it is now; a ring where its result differs from before."""
    rows = [row for row in list_claim_rows(tried) if row.after is not None]
    figure = figures.new_figure()
    if changed := [row for row in rows if row.is_changed]:
        _add(figure, changed, f"changed ({len(changed)})", "", "square-open", figures.INK, _RING_PX)
    for result, (word, sign, shape, colour) in RESULTS.items():
        found = [row for row in rows if row.after is not None and row.after.result == result]
        if found:
            _add(figure, found, f"{sign} {word} ({len(found)})", sign, shape, colour, _MARK_PX)
    claims = list(dict.fromkeys(row.claim_id for row in rows))
    names = list(dict.fromkeys(_name(row) for row in rows))
    figures.style_figure(figure, _FRAME_PX + _ROW_PX * len(claims), "", "")
    figure.update_layout(
        showlegend=True,
        legend={
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "itemclick": False,
            "itemdoubleclick": False,
        },
    )
    figure.update_yaxes(range=[len(claims) - 0.4, -0.6], type="category", categoryorder="array", categoryarray=claims)
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=names, tickangle=-35)
    return figure


def _add(figure: Any, rows: Sequence[TriedRow], name: str, sign: str, shape: str, colour: str, size: int) -> None:
    figure.add_trace(
        go.Scatter(
            x=[_name(row) for row in rows], y=[row.claim_id for row in rows], name=name, mode="markers+text" if sign else "markers",
            text=[sign] * len(rows), textposition="middle center", hovertext=[_describe(row) for row in rows], hoverinfo="text",
            marker={"symbol": shape, "size": size, "color": colour, "line": {"color": figures.INK, "width": 2 if not sign else 1}},
        )
    )  # fmt: skip


def _name(row: TriedRow) -> str:
    """A criterion that does not decide is in brackets."""
    words = row.criterion.replace("_", " ")
    return words if row.after is None or row.after.is_required else f"({words})"


def _describe(row: TriedRow) -> str:
    """Our own words and numbers: ids of criteria are letters, digits and underscores by the policy's rules."""
    return f"{row.criterion}: {name_result(row.before)} → {name_result(row.after)}"


def name_result(row: GateRow | None) -> str:
    """Word for the result of a row; empty where a policy has no such row."""
    return "" if row is None else RESULTS[row.result][0]


def tabulate(tried: Sequence[TriedPack]) -> Any:
    """The picture's rows with the numbers behind them, and the rows about whole packs, which decide as well."""
    return make_table(COLUMNS, [_list_row(row) for pack in tried for row in pack.rows])


def _list_row(row: TriedRow) -> tuple[Any, ...]:
    shown = row.after or row.before
    assert shown is not None
    interval = "" if shown.ci_low is None or shown.ci_high is None else f"[{shown.ci_low:.3f}, {shown.ci_high:.3f}]"
    asked = "" if shown.threshold is None else f"{shown.comparator} {shown.threshold:g}"
    counts = "left out" if row.after is None else "required" if row.after.is_required else "shown only"
    return (
        row.claim_id or f"pack {row.pack[:8]}", row.criterion, counts, name_result(row.before), name_result(row.after), shown.estimate, interval, shown.unit or "", shown.n, asked,
        shown.reason or "",
    )  # fmt: skip
