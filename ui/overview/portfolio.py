"""The portfolio on the overview: policy status of each model, untested and stale claims, and key figures over time."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from audit_core import make_table
from audit_core.home import ClaimStatus, ClaimSummary, HomeFacts, ModelLine, Trend, follow_figures
from audit_core.review import CaseFile, list_cases, open_case
from ui.flow import sample
from ui.parts import figures
from ui.parts.header import show_table, table_with_csv
from ui.shell import navigation

TO_DO = (ClaimStatus.UNTESTED, ClaimStatus.STALE, ClaimStatus.INCONCLUSIVE)
"""States that call for a test, a repeated test or more prompts."""
GATES = {
    "MEETS": "met", "DOES_NOT_MEET": "not met", "NOT_EVALUATED": "not evaluated", "INCONCLUSIVE": "inconclusive",
    "INTEGRITY_FAILED": "a pack was changed",
}  # fmt: skip
"""Result of a policy, in words."""
BACK = (8, 4)
"""Weeks ago at which a key figure is also shown."""


@st.cache_data(max_entries=64, show_spinner=False)
def _open(home: str, root_digest: str, n_decisions: int, trusted_at: float) -> CaseFile:
    """Open a case; data directory, digest, number of decisions and date of the trust file are the cache key."""
    return open_case(Path(home), root_digest, now=sample.records_now())


def open_cases() -> tuple[CaseFile, ...]:
    """Every pack on the desk, evaluated against its policy, newest first."""
    home = sample.records_home()
    trust = home / "trust.toml"
    trusted_at = trust.stat().st_mtime if trust.is_file() else 0.0
    return tuple(_open(str(home), case.pack.root_digest, len(case.decisions), trusted_at) for case in list_cases(home))


def show_portfolio(lines: Sequence[ModelLine], summaries: Sequence[ClaimSummary], facts: HomeFacts) -> None:
    """Show claims by model and state as a picture, and the three counts that ask for an action."""
    if not lines:
        st.info(
            "No claim is registered yet. Write one on the Claims page, or explore on Live audit.",
            icon=":material/info:",
        )
        return
    picture, counts = st.columns([3, 1], gap="medium", vertical_alignment="center")
    with picture:
        st.markdown("**Claims by model and state.** A number counts claims.")
        figures.show(
            draw_portfolio(lines), "portfolio-picture",
            alt="Number of claims by model and state. The table below has the numbers.",
        )  # fmt: skip
    to_do = [one for one in summaries if one.standing in TO_DO]
    counts.metric("Models that meet their policy", f"{sum(line.gate == 'MEETS' for line in lines)} of {len(lines)}")
    counts.metric("Claims that need an action", f"{len(to_do)} of {len(summaries)}")
    counts.metric("Log entries not yet confirmed outside", f"{facts.status.unanchored_events:,}")
    table_with_csv(lambda: tabulate(lines), "Portfolio", "portfolio-rows")
    with st.container(horizontal=True):
        for page, label in (
            (navigation.models(), "Model cards"),
            (navigation.claims(), "Claims"),
            (navigation.desk(), "Review desk"),
        ):
            st.page_link(page, label=label)


def draw_portfolio(lines: Sequence[ModelLine]) -> go.Figure:
    """Models as rows and claim states as columns; each number of claims is written in its mark."""
    # Plotly interprets some HTML in labels, and a model's name is untrusted.
    rows = [
        f"<b>{html.escape(line.model[:40])}</b>, policy: {GATES.get(line.gate, line.gate.lower())}" for line in lines
    ]
    states = list(ClaimStatus)
    marks = [(states.index(s), row, n) for row, line in enumerate(lines) for s, n in line.by_standing.items() if n]
    figure = figures.new_figure(
        go.Scatter(
            x=[x for x, _, _ in marks], y=[y for _, y, _ in marks], text=[f"<b>{n}</b>" for _, _, n in marks], mode="markers+text",
            customdata=[[states[x].value] for x, _, _ in marks], hovertemplate="%{text} claims: %{customdata[0]}<extra></extra>",
            marker={"size": 34, "color": "rgba(125,133,144,.18)", "line": {"width": 1.5, "color": figures.INK}},
        )
    )  # fmt: skip
    for at, row in enumerate(rows):
        # Above its line and not beside it: on a phone the names would leave no width for the columns.
        figure.add_annotation(
            x=0, xref="paper", y=at, yshift=31, text=row, showarrow=False, xanchor="left", font={"size": 12}
        )
    figures.style_figure(figure, 60 + 78 * len(lines), "", "")
    figure.update_xaxes(
        tickmode="array", tickvals=list(range(len(states))), ticktext=[state.value for state in states], side="top",
        range=[-0.5, len(states) - 0.5], ticks="",
    )  # fmt: skip
    return figure.update_yaxes(
        tickvals=list(range(len(rows))), showticklabels=False, range=[len(rows) - 0.4, -0.6], ticks="", showgrid=True,
        gridcolor="rgba(125,133,144,.25)", showline=False,
    )  # fmt: skip


def tabulate(lines: Sequence[ModelLine]) -> Any:
    """The portfolio as rows."""
    rows = [
        (
            line.model, GATES.get(line.gate, line.gate.lower()), line.why, line.claims, _count(line), line.packs,
            ", ".join(line.desk) or "none", line.model_digest,
        )
        for line in lines
    ]  # fmt: skip
    names = ("model", "policy", "why", "claims", "by status", "packs in use", "review desk", "digest")
    return make_table(names, rows)


def show_open(summaries: Sequence[ClaimSummary]) -> None:
    """Show claims that need an action."""
    left = [one for one in summaries if one.standing in TO_DO]
    if not left:
        st.markdown("No claim needs an action.")
        return
    rows = [(one.name, one.standing.value, one.why, one.model, one.expires_at, one.claim_id) for one in left]
    show_table(make_table(("statement", "status", "why", "model", "expires", "claim"), rows), key="left-to-do")


def show_figures(trends: Sequence[Trend]) -> None:
    """Show key figures with definition, threshold and source; organisations replace the thresholds."""
    st.markdown(
        "Counted from the register, the audit log and the review desk. "
        "The thresholds are defaults. Replace them with your organisation's."
    )
    rows = [
        (
            one.figure.name.replace("_", " "), *map(_show, one.values), one.figure.unit, _count_things(one.figure.n), one.figure.default or "shown only",
            one.figure.source or "", one.figure.reason or "", one.figure.definition,
        )
        for one in trends
    ]  # fmt: skip
    columns = (
        "key figure",
        *(f"{weeks} weeks ago" for weeks in BACK),
        "now",
        "unit",
        "n",
        "threshold",
        "source",
        "not evaluated because",
        "definition",
    )
    show_table(make_table(columns, rows), key="figures")
    table_with_csv(lambda: make_table(columns, rows), "Key figures", "key-figures")


def read_trends(facts: HomeFacts) -> tuple[Trend, ...]:
    now = sample.records_now()
    return follow_figures(facts, [now - timedelta(weeks=back) for back in (*BACK, 0)])


def _count(line: ModelLine) -> str:
    return ", ".join(f"{number} {status.value}" for status, number in line.by_standing.items())


def _show(value: float | None) -> str:
    return "not evaluated" if value is None else f"{value:.3g}"


def _count_things(n: int | None) -> str:
    return "" if n is None else f"{n:,}"
