"""The overview as one printed page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from audit_core.home import (
    ClaimStatus,
    ClaimSummary,
    HomeFacts,
    ModelLine,
    OverviewClaim,
    OverviewFacts,
    OverviewModel,
    render_overview,
)
from ui.overview.portfolio import GATES, TO_DO
from ui.parts.sample_mark import find_shown, name_file


def offer(lines: Sequence[ModelLine], summaries: Sequence[ClaimSummary], facts: HomeFacts) -> None:
    """Show the button that downloads the page; the PDF is made when it is pressed."""
    # Collected now, because the click arrives outside the page's run, where the mark of the sample is not available.
    found = collect(lines, summaries, facts)
    st.download_button(
        "Print (PDF, one page)", data=lambda: render_overview(found), file_name=name_file("audit-overview.pdf"),
        mime="application/pdf", icon=":material/print:", on_click="ignore",
    )  # fmt: skip


def collect(lines: Sequence[ModelLine], summaries: Sequence[ClaimSummary], facts: HomeFacts) -> OverviewFacts:
    """Everything on the printed page."""
    return OverviewFacts(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        states=tuple(status.value for status in ClaimStatus),
        models=tuple(
            OverviewModel(
                model=one.model, policy=GATES.get(one.gate, one.gate.lower()), by_state={s.value: n for s, n in one.by_standing.items()}
            )
            for one in lines
        ),
        open_claims=tuple(
            OverviewClaim(statement=one.name, state=one.standing.value, why=one.why) for one in summaries if one.standing in TO_DO
        ),
        n_claims=len(summaries),
        unconfirmed_entries=facts.status.unanchored_events,
        is_sample=find_shown() is not None,
    )  # fmt: skip
