"""The portfolio on the overview: which models meet their policy, what is untested or stale, and the key figures over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import streamlit as st

from audit_core import audit_home, make_table
from audit_core.home import ClaimStatus, ClaimSummary, HomeFacts, ModelLine, Trend, follow_figures
from audit_core.review import CaseFile, list_cases, open_case
from ui.parts.header import show_table, table_with_csv
from ui.shell import navigation

BACK = (8, 4)
"""Weeks ago, between which and now a key figure is followed."""


@st.cache_data(max_entries=64, show_spinner=False)
def _open(root_digest: str, n_decisions: int, trusted_at: float) -> CaseFile:
    """A pack changes only by its decisions and by whom this home trusts; its bytes are found by their digest."""
    return open_case(audit_home(), root_digest, now=datetime.now(UTC))


def open_cases() -> tuple[CaseFile, ...]:
    """Every pack on the desk, held against its policy, the newest first."""
    trust = audit_home() / "trust.toml"
    trusted_at = trust.stat().st_mtime if trust.is_file() else 0.0
    return tuple(_open(case.pack.root_digest, len(case.decisions), trusted_at) for case in list_cases(audit_home()))


def show_portfolio(lines: Sequence[ModelLine], standings: Sequence[ClaimSummary], facts: HomeFacts) -> None:
    """Four numbers to begin with, then one line a model."""
    counted = {standing: sum(one.standing is standing for one in standings) for standing in ClaimStatus}
    columns = st.columns(4)
    columns[0].metric("Models that meet their policy", f"{sum(line.gate == 'MEETS' for line in lines)} of {len(lines)}")
    columns[1].metric("Claims untested", counted[ClaimStatus.UNTESTED])
    columns[2].metric("Claims stale", counted[ClaimStatus.STALE])
    columns[3].metric("Unanchored window", f"{facts.status.unanchored_events:,} events")
    st.markdown(
        f"For the {facts.status.unanchored_events:,} newest events, of the last {facts.status.unanchored_s / 3600:.1f} h, only this machine vouches: "
        "nobody outside is known to hold a later checkpoint."
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
    names = ("model", "policy", "why", "claims", "by standing", "packs in use", "review desk", "digest")
    show_table(make_table(names, rows), key="portfolio")
    table_with_csv(lambda: make_table(names, rows), "The portfolio", "portfolio-rows")
    with st.container(horizontal=True):
        for page, label in (
            (navigation.models(), "Model cards"),
            (navigation.claims(), "Claims"),
            (navigation.desk(), "Review desk"),
        ):
            st.page_link(page, label=label)


def show_open(standings: Sequence[ClaimSummary]) -> None:
    """Claims that somebody has to do something about."""
    left = [
        one for one in standings if one.standing in (ClaimStatus.UNTESTED, ClaimStatus.STALE, ClaimStatus.INCONCLUSIVE)
    ]
    if not left:
        return
    st.subheader("What is left to do", anchor=False)
    rows = [(one.claim_id, one.name, one.model, one.standing.value, one.why, one.expires_at) for one in left]
    show_table(make_table(("claim", "says", "model", "standing", "why", "expires"), rows), key="left-to-do")


def show_figures(trends: Sequence[Trend]) -> None:
    """Key figures with their definitions and whose threshold stands beside them; each threshold is to be replaced by your own."""
    st.markdown(
        "Counted from the register, the audit log and the review desk. Thresholds are this product's defaults, to be replaced by your "
        "organisation's."
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
        "wanted",
        "whose",
        "not evaluated because",
        "definition",
    )
    show_table(make_table(columns, rows), key="figures")
    table_with_csv(lambda: make_table(columns, rows), "Key figures", "key-figures")


def read_trends(facts: HomeFacts) -> tuple[Trend, ...]:
    now = datetime.now(UTC)
    return follow_figures(facts, [now - timedelta(weeks=back) for back in (*BACK, 0)])


def _count(line: ModelLine) -> str:
    return ", ".join(f"{number} {standing.value}" for standing, number in line.by_standing.items())


def _show(value: float | None) -> str:
    return "not evaluated" if value is None else f"{value:.3g}"


def _count_things(n: int | None) -> str:
    return "" if n is None else f"{n:,}"
