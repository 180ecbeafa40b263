"""Completeness, minimality and templates of a circuit."""

from __future__ import annotations

import streamlit as st

from audit_core.audits import CircuitResult
from ui.parts.header import conditions_line, controls_line, figure_header, plain
from ui.parts.measurements import show_forest, show_groups


def show(found: CircuitResult, place: str = "") -> None:
    """Show completeness gaps, minimality scores and templates."""
    st.markdown(f"**{plain(found.completeness)}**")
    figure_header(
        "Gaps", "causal",
        "a subset is ablated in the circuit alone and in the whole model. For a complete circuit both lose the same, so the gap is zero. "
        "Below zero, the model has a backup that the circuit lacks.",
    )  # fmt: skip
    named = [(f"{', '.join(gap.subset)} ({gap.how})", gap.found) for gap in found.gaps]
    show_forest(named, "Gaps", f"gaps{place}", lines=((-0.1, "−0.1"), (0.1, "0.1")))
    figure_header(
        "Minimality", "causal",
        "loss of the circuit without the component, maximised over the subsets tried.",
    )  # fmt: skip
    beside = [
        (f"{worth.component}{' without ' + ', '.join(worth.beside) if worth.beside else ''}", worth.found)
        for worth in found.worths
    ]
    show_forest(beside, "Minimality", f"worth{place}")
    st.markdown(f"Redundant for every subset tried: **{', '.join(found.idle) or 'none'}**.")
    show_groups(found.by_template, "Kept alone, template by template", f"templates{place}")
    conditions_line(found.by_template_conditions.as_pairs(), found.sufficiency.estimate.n)
    controls_line(found.controls)
