"""The portfolio on the overview: which models meet their policy, what is untested or stale, and the key figures over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import streamlit as st

from audit_core import (
    CaseFile,
    ClaimStanding,
    HomeFacts,
    ModelLine,
    Standing,
    Trend,
    audit_home,
    follow_figures,
    list_cases,
    make_table,
    open_case,
)
from ui import places
from ui.header import table_with_csv

WEEKS = 8
"""How far back the trend of a key figure goes."""


@st.cache_data(max_entries=64, show_spinner=False)
def _open(root_digest: str, n_decisions: int, trusted_at: float) -> CaseFile:
    """A pack changes only by its decisions and by whom this home trusts; its bytes are found by their digest."""
    return open_case(audit_home(), root_digest, now=datetime.now(UTC))


def open_cases() -> tuple[CaseFile, ...]:
    """Every pack on the desk, held against its policy, the newest first."""
    trust = audit_home() / "trust.toml"
    trusted_at = trust.stat().st_mtime if trust.is_file() else 0.0
    return tuple(_open(case.pack.root_digest, len(case.decisions), trusted_at) for case in list_cases(audit_home()))


def show_portfolio(lines: Sequence[ModelLine], standings: Sequence[ClaimStanding], facts: HomeFacts) -> None:
    """Four numbers to begin with, then one line a model."""
    counted = {standing: sum(one.standing is standing for one in standings) for standing in Standing}
    columns = st.columns(4)
    columns[0].metric("Models that meet their policy", f"{sum(line.gate == 'MEETS' for line in lines)} of {len(lines)}")
    columns[1].metric("Claims untested", counted[Standing.UNTESTED])
    columns[2].metric("Claims stale", counted[Standing.STALE])
    columns[3].metric(
        "Unanchored window", f"{facts.status.unanchored_events:,} events, {facts.status.unanchored_s / 3600:.1f} h",
        help="Events since a checkpoint was last held by somebody outside: only this machine vouches for them.",
    )  # fmt: skip
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
    st.dataframe(make_table(names, rows), hide_index=True, key="portfolio")
    table_with_csv(lambda: make_table(names, rows), "The portfolio", "portfolio-rows")
    with st.container(horizontal=True):
        for page, label in (
            (places.models(), "Model cards"),
            (places.claims(), "Claims"),
            (places.desk(), "Review desk"),
        ):
            st.page_link(page, label=label)


def show_open(standings: Sequence[ClaimStanding]) -> None:
    """Claims that somebody has to do something about."""
    left = [one for one in standings if one.standing in (Standing.UNTESTED, Standing.STALE, Standing.INCONCLUSIVE)]
    if not left:
        return
    st.subheader("What is left to do", anchor=False)
    rows = [(one.claim_id, one.name, one.model, one.standing.value, one.why, one.expires_at) for one in left]
    st.dataframe(
        make_table(("claim", "says", "model", "standing", "why", "expires"), rows), hide_index=True, key="left-to-do"
    )


def show_figures(trends: Sequence[Trend]) -> None:
    """Key figures with their definitions and whose threshold stands beside them; each threshold is to be replaced by your own."""
    st.markdown(
        f"Counted from the register, the audit log and the review desk; the line is the last {WEEKS} weeks, with gaps where nothing could be "
        "counted. Thresholds are this product's defaults, to be replaced by your organisation's."
    )
    rows = [
        (
            one.figure.name.replace("_", " "), _show(one.figure.value), one.figure.unit, one.figure.n, one.figure.reason or "",
            list(one.values), one.figure.default or "shown only", one.figure.source or "", one.figure.definition,
        )
        for one in trends
    ]  # fmt: skip
    columns = ("key figure", "value", "unit", "n", "not evaluated because", "trend", "wanted", "whose", "definition")
    st.dataframe(
        make_table(columns, rows), hide_index=True, key="figures",
        column_config={"trend": st.column_config.LineChartColumn("trend", help=f"Last {WEEKS} weeks, oldest first")},
    )  # fmt: skip
    flat = [
        (*row[:5], "; ".join("not evaluated" if v is None else _show(v) for v in one.values), *row[6:])
        for row, one in zip(rows, trends, strict=True)
    ]
    table_with_csv(lambda: make_table(columns, flat), "Key figures", "key-figures")


def read_trends(facts: HomeFacts) -> tuple[Trend, ...]:
    now = datetime.now(UTC)
    return follow_figures(facts, [now - timedelta(weeks=back) for back in range(WEEKS, -1, -1)])


def _count(line: ModelLine) -> str:
    return ", ".join(f"{number} {standing.value}" for standing, number in line.by_standing.items())


def _show(value: float | None) -> str:
    return "not evaluated" if value is None else f"{value:.3g}"
