"""How often a search selects each component."""

from __future__ import annotations

import streamlit as st

from audit_core import make_table
from audit_core.audits import StabilityResult
from ui.parts.header import conditions_line, controls_line, plain, table_with_csv


def show(found: StabilityResult, place: str = "") -> None:
    """Show how often each component is selected."""
    st.markdown(f"**{plain(found.sentence)}**")
    st.markdown(
        f"Mean Jaccard index **{found.jaccard:.2f}** over pairs of {found.draws} bootstrap samples of {found.n} exploratory prompts in "
        f"{found.n_templates} templates. Nine pairs in ten lie between {found.jaccard_low:.2f} and {found.jaccard_high:.2f}, a spread "
        f"and not an interval. In nearly every sample: {', '.join(found.core) or 'none'}."
    )
    rows = [(kept.component, kept.share, kept.component in found.found) for kept in found.shares]
    table_with_csv(
        lambda: make_table(("component", "share of samples", "found on all prompts"), rows),
        "Selection frequency",
        f"again{place}",
    )
    conditions_line(found.conditions.as_pairs(), found.n)
    if found.controls is not None:
        controls_line(found.controls)
