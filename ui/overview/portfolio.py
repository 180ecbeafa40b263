"""The portfolio on the overview: policy status of each model, untested and stale claims, and key figures over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import streamlit as st

from audit_core import make_table
from audit_core.home import ClaimStatus, ClaimSummary, HomeFacts, ModelLine, Trend, follow_figures
from audit_core.review import CaseFile, list_cases, open_case
from ui.flow import sample
from ui.parts.header import show_table, table_with_csv
from ui.shell import navigation

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
    """Show four summary numbers, then one line per model."""
    counted = {status: sum(one.standing is status for one in summaries) for status in ClaimStatus}
    columns = st.columns(4)
    columns[0].metric("Models that meet their policy", f"{sum(line.gate == 'MEETS' for line in lines)} of {len(lines)}")
    columns[1].metric("Claims untested", counted[ClaimStatus.UNTESTED])
    columns[2].metric("Claims stale", counted[ClaimStatus.STALE])
    columns[3].metric("Unanchored window", f"{facts.status.unanchored_events:,} events")
    st.markdown(
        f"No external checkpoint covers the {facts.status.unanchored_events:,} newest events, from the last {facts.status.unanchored_s / 3600:.1f} h."
    )
    if not lines:
        st.info("No claim is registered yet. What to do: freeze one on the Claims page.", icon=":material/info:")
        return
    rows = [
        (
            line.model, line.gate.replace("_", " ").lower(), line.why, line.claims, _count(line), line.packs, ", ".join(line.desk) or "none",
            line.model_digest,
        )
        for line in lines
    ]  # fmt: skip
    names = ("model", "policy", "why", "claims", "by status", "packs in use", "review desk", "digest")
    show_table(make_table(names, rows), key="portfolio")
    table_with_csv(lambda: make_table(names, rows), "The portfolio", "portfolio-rows")
    with st.container(horizontal=True):
        for page, label in (
            (navigation.models(), "Model cards"),
            (navigation.claims(), "Claims"),
            (navigation.desk(), "Review desk"),
        ):
            st.page_link(page, label=label)


def show_open(summaries: Sequence[ClaimSummary]) -> None:
    """Show claims that need an action."""
    left = [
        one for one in summaries if one.standing in (ClaimStatus.UNTESTED, ClaimStatus.STALE, ClaimStatus.INCONCLUSIVE)
    ]
    if not left:
        return
    st.subheader("Open work", anchor=False)
    rows = [(one.claim_id, one.name, one.model, one.standing.value, one.why, one.expires_at) for one in left]
    show_table(make_table(("claim", "statement", "model", "status", "why", "expires"), rows), key="left-to-do")


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
