"""What audits cost beside what they settled, counted from this machine's run log."""

from __future__ import annotations

import html

import plotly.graph_objects as go
import streamlit as st

from audit_core import AuditError, audit_home, list_plugins, make_table
from audit_core.home import CostReport, KindCost, Seconds, read_costs
from ui.flow import answers
from ui.parts import figures
from ui.parts.header import figure_header, show_table, table_with_csv

OUTCOMES = ("done", "not_measured", "refused", "failed", "cancelled", "abandoned", "under way")
NOT_RECORDED = "not recorded"


def read() -> CostReport | None:
    """The count, or why there is none."""
    try:
        return read_costs(audit_home())
    except AuditError as error:
        answers.show_refusal(error)
        return None


def show_costs(report: CostReport) -> None:
    """Table and figure; what they say is about audits, and about no model."""
    st.header("What audits cost, and what they settled", anchor=False)
    if not report.kinds:
        st.info(
            "No audit has been run here yet. Open Live audit, or run `python -m audit_core test`, and its cost appears here."
        )
        return
    figure_header(
        "By kind of audit", "",
        "seconds of every run that began, also of those that came to nothing; an answer that was reused is no run. CPU seconds are the "
        "whole process's while the run lasted: pages and other runs are in them, and a sum may hold one second twice.",
    )  # fmt: skip
    st.markdown(
        f"All together {describe_seconds(report.wall)} on the clock, {describe_seconds(report.cpu)} of CPU. A claim is settled when its verdict is "
        "supported, negligible or reversed; the same question asked again counts once."
    )
    rows = [
        (cost.kind, cost.started, describe_seconds(cost.wall), describe_seconds(cost.cpu), _say_answers(cost), _say_price(cost))
        for cost in report.kinds
    ]  # fmt: skip
    columns = ("audit", "runs started", "wall time", "CPU time", "what it settled", "wall time per settled claim")
    show_table(make_table(columns, rows), key="costs")
    st.plotly_chart(
        _draw_bars(report), key="cost-bars", config={"displayModeBar": False},
        alt="Bars of wall seconds, plain, and CPU seconds, hatched, for each kind of audit; the tables have the numbers.",
    )  # fmt: skip
    table_with_csv(lambda: _tabulate(report), "Every outcome and every answer", "audit-costs")


def describe_seconds(seconds: Seconds) -> str:
    """A sum with its unit, and how many runs are in it where that is not all."""
    if seconds.total is None:
        return NOT_RECORDED
    return _say_time(seconds.total) + ("" if seconds.is_whole else f" ({seconds.n} of {seconds.of} runs recorded)")


def _say_time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _say_answers(cost: KindCost) -> str:
    if cost.answers is None:
        return cost.not_counted
    said = (f"{a.n} {a.state}" + (f" ({a.reason})" if a.reason else "") for a in cost.answers)
    return ", ".join(said) or cost.not_counted


def _say_price(cost: KindCost) -> str:
    if cost.wall_per_settled is None:
        return "–"
    return ("" if cost.wall.is_whole else "at least ") + _say_time(cost.wall_per_settled)


def _draw_bars(report: CostReport) -> go.Figure:
    # Plotly reads some HTML in labels, and a log may come from anywhere.
    names = [html.escape(cost.kind) for cost in report.kinds]
    figure = go.Figure()
    for label, pattern, sums in (
        ("wall", "", [cost.wall for cost in report.kinds]),
        ("CPU", "/", [cost.cpu for cost in report.kinds]),
    ):
        figure.add_bar(
            y=names, x=[one.total for one in sums], orientation="h", name=label,
            text=[f"{label} {NOT_RECORDED if one.total is None else _say_time(one.total)}" for one in sums],
            textposition="outside", cliponaxis=False, hovertemplate="%{y}: %{text}<extra></extra>",
            marker={"color": figures.INK, "line": {"color": figures.INK, "width": 1}, "pattern": {"shape": pattern, "fillmode": "replace"}},
        )  # fmt: skip
    figures.style_figure(figure, 90 + 56 * len(names), "Seconds", "")
    most = max((one.total or 0.0 for cost in report.kinds for one in (cost.wall, cost.cpu)), default=0.0)
    # Each bar says which it is: a legend would lie on the axis.
    figure.update_layout(barmode="group")
    figure.update_xaxes(range=[0, 1.3 * most or 1.0])
    return figure.update_yaxes(autorange="reversed")


def _tabulate(report: CostReport) -> object:
    known = list_plugins("audits")
    columns = (
        "audit", "question", "runs started", "never begun", *OUTCOMES, "wall, s", "runs in it", "CPU, s", "runs in it ", "settled", "answers",
        "wall, s per settled claim", "CPU, s per settled claim", "why a price is missing or a least",
    )  # fmt: skip
    rows = [
        (
            cost.kind, known[cost.kind].question if cost.kind in known else "", cost.started, cost.never_begun,
            *(cost.outcomes.get(outcome, 0) for outcome in OUTCOMES), cost.wall.total, cost.wall.n, cost.cpu.total, cost.cpu.n, cost.settled,
            "" if cost.answers is None else _say_answers(cost), cost.wall_per_settled, cost.cpu_per_settled, cost.not_counted,
        )
        for cost in report.kinds
    ]  # fmt: skip
    return make_table(columns, rows)
