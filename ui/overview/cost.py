"""Cost of audits and the claims they settled, counted from this machine's run log."""

from __future__ import annotations

import html

import plotly.graph_objects as go
import streamlit as st

from audit_core import AuditError, list_plugins, make_table
from audit_core.home import CostReport, KindCost, Seconds, read_costs
from ui.flow import sample
from ui.parts import figures
from ui.parts.header import figure_header, show_table, table_with_csv
from ui.parts.refusal import show_refusal

OUTCOMES = ("done", "not_measured", "refused", "failed", "cancelled", "abandoned", "under way")
NOT_RECORDED = "not recorded"


def read() -> CostReport | None:
    """The cost report, or None after showing the error."""
    try:
        return read_costs(sample.records_home())
    except AuditError as error:
        show_refusal(error)
        return None


def show_costs(report: CostReport) -> None:
    """Show table and figure; the numbers describe audits, not models."""
    if not report.kinds:
        st.info(
            "No audit has run here yet. Open Live audit, or run `python -m audit_core test`. Its cost then appears here."
        )
        return
    figure_header(
        "By kind of audit", "",
        "seconds of every run that started, failed ones included. A reused answer is no run. "
        "CPU seconds count the whole process, with pages and concurrent runs, so sums may count a second twice.",
    )  # fmt: skip
    st.markdown(
        f"Total: {describe_seconds(report.wall)} wall time, {describe_seconds(report.cpu)} CPU time. A verdict of supported, negligible or "
        "reversed settles a claim. A repeated question counts once."
    )
    rows = [
        (cost.kind, cost.started, describe_seconds(cost.wall), describe_seconds(cost.cpu), _format_answers(cost), _format_price(cost))
        for cost in report.kinds
    ]  # fmt: skip
    columns = ("audit", "runs started", "wall time", "CPU time", "what it settled", "wall time per settled claim")
    show_table(make_table(columns, rows), key="costs")
    figures.show(
        _draw_bars(report),
        "cost-bars",
        "Bars of wall seconds, plain, and CPU seconds, hatched, for each kind of audit. The tables have the numbers.",
    )
    table_with_csv(lambda: _tabulate(report), "Every outcome and every answer", "audit-costs")


def describe_seconds(seconds: Seconds) -> str:
    """A sum with its unit, and the number of recorded runs if some are missing."""
    if seconds.total is None:
        return NOT_RECORDED
    return _format_time(seconds.total) + ("" if seconds.is_whole else f" ({seconds.n} of {seconds.of} runs recorded)")


def _format_time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _format_answers(cost: KindCost) -> str:
    if cost.answers is None:
        return cost.not_counted
    parts = (f"{a.n} {a.state}" + (f" ({a.reason})" if a.reason else "") for a in cost.answers)
    return ", ".join(parts) or cost.not_counted


def _format_price(cost: KindCost) -> str:
    if cost.wall_per_settled is None:
        return "–"
    return ("" if cost.wall.is_whole else "at least ") + _format_time(cost.wall_per_settled)


def _draw_bars(report: CostReport) -> go.Figure:
    # Plotly interprets some HTML in labels, and the log is untrusted.
    names = [html.escape(cost.kind) for cost in report.kinds]
    figure = figures.new_figure()
    for label, pattern, sums in (
        ("wall", "", [cost.wall for cost in report.kinds]),
        ("CPU", "/", [cost.cpu for cost in report.kinds]),
    ):
        figure.add_bar(
            y=names, x=[one.total for one in sums], orientation="h", name=label,
            text=[f"{label} {NOT_RECORDED if one.total is None else _format_time(one.total)}" for one in sums],
            textposition="outside", cliponaxis=False, hovertemplate="%{y}: %{text}<extra></extra>",
            marker={"color": figures.INK, "line": {"color": figures.INK, "width": 1}, "pattern": {"shape": pattern, "fillmode": "replace"}},
        )  # fmt: skip
    figures.style_figure(figure, 90 + 56 * len(names), "Seconds", "")
    most = max((one.total or 0.0 for cost in report.kinds for one in (cost.wall, cost.cpu)), default=0.0)
    # Each bar carries its label, because a legend would overlap the axis.
    figure.update_layout(barmode="group")
    figure.update_xaxes(range=[0, 1.3 * most or 1.0])
    return figure.update_yaxes(autorange="reversed")


def _tabulate(report: CostReport) -> object:
    known = list_plugins("audits")
    columns = (
        "audit", "question", "runs started", "never started", *OUTCOMES, "wall, s", "runs in it", "CPU, s", "runs in it ", "settled", "answers",
        "wall, s per settled claim", "CPU, s per settled claim", "why a cost is missing or a lower bound",
    )  # fmt: skip
    rows = [
        (
            cost.kind, known[cost.kind].question if cost.kind in known else "", cost.started, cost.never_begun,
            *(cost.outcomes.get(outcome, 0) for outcome in OUTCOMES), cost.wall.total, cost.wall.n, cost.cpu.total, cost.cpu.n, cost.settled,
            "" if cost.answers is None else _format_answers(cost), cost.wall_per_settled, cost.cpu_per_settled, cost.not_counted,
        )
        for cost in report.kinds
    ]  # fmt: skip
    return make_table(columns, rows)
