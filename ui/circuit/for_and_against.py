"""Evidence for and against a circuit, two circuits side by side, and claim files to download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from audit_core import Claim, Component, format_components, format_estimate, make_table
from audit_core.assessment import Balance
from audit_core.audits import DiscoverResult, RecompositionResult
from audit_core.claim import dump_claim
from audit_core.stats import Conditions, Measurement
from audit_core.tables import estimate_cells
from ui.parts.header import conditions_line, figure_header, plain, show_table, table_with_csv

SHOWN = 20
MOST = 40


def show_balance(balance: Balance, conditions: Conditions, n: int) -> None:
    """Show evidence for and against in two equal columns, and unresolved points below."""
    figure_header(
        "For and against", "causal",
        "findings on the confirmatory split, unless a sentence states otherwise. "
        "Whether these prompts were already used to choose this circuit is not recorded here. "
        "Findings are not added up. One sound finding against the circuit outweighs any number for it.",
    )  # fmt: skip
    columns = (
        ("For", ":material/add_circle:", balance.speaks_for),
        ("Against", ":material/do_not_disturb_on:", balance.speaks_against),
    )
    for column, (title, icon, found) in zip(st.columns(2), columns, strict=True):
        with column.container(border=True, height=320):
            st.markdown(f"**{icon} {title} ({len(found)})**")
            _show_sentences(found)
            if not found:
                st.markdown("No findings yet.")
    with st.container(border=True):
        st.markdown(f"**:material/help: Unresolved ({len(balance.unresolved)})**")
        _show_sentences(balance.unresolved)
        if balance.about_the_search:
            st.markdown("**:material/search: About circuits that the search found, not this one**")
            _show_sentences(balance.about_the_search)
        if balance.not_asked:
            st.markdown(f"**Not measured yet ({len(balance.not_asked)}):** {plain(' '.join(balance.not_asked))}")
    conditions_line(conditions.as_pairs(), n)


def _show_sentences(found: Sequence[str]) -> None:
    for text in found:
        st.markdown(f"- {plain(text)}")


def show_proposal(found: DiscoverResult) -> None:
    """Show the order that a discovery method found, and adopt its first components as the circuit."""
    figure_header(
        "Proposed circuit", "causal" if found.is_measured else "estimated",
        f"components by size of effect on {found.n} exploratory prompts. This is a proposal, judged below on the confirmatory split. "
        f"{plain(found.misses)}",
    )  # fmt: skip
    rows = [
        (at, name, score, found.unit)
        for at, (name, score) in enumerate(zip(found.components, found.scores, strict=True), 1)
    ]
    columns = ("rank", "component", "score", "unit")
    show_table(make_table(columns, rows[:SHOWN]), height=220, key="proposal")
    table_with_csv(lambda: make_table(columns, rows), f"All {len(rows)} components", "proposal-all")
    most = min(MOST, len(rows))
    st.session_state.size_chosen = _read_size(most)
    size = st.number_input("Size of the circuit", 1, most, key="size_chosen", on_change=_keep_size)
    if st.button(f"Use the first {size} as the circuit", icon=":material/arrow_downward:"):
        st.session_state.next_circuit = ", ".join(found.components[: int(size)])
        st.rerun()


def _read_size(most: int) -> int:
    text = st.session_state.get("size", "6")
    return max(1, min(most, int(text) if text.isdecimal() and len(text) < 4 else 6))


def _keep_size() -> None:
    st.session_state.size = str(st.session_state.size_chosen)


def show_beside(first: RecompositionResult, second: RecompositionResult, names: Sequence[str]) -> None:
    """Show two circuits on the same prompts, under the same ablation."""
    figure_header("Side by side", "causal", "both circuits on the same prompts and on one scale, without clipping.")
    for column, name, found in zip(st.columns(2), names, (first, second), strict=True):
        with column.container(border=True):
            st.markdown(f"**{plain(name)}**")
            for label, value in _list_numbers(found):
                st.markdown(f"{label}: **{plain(format_estimate(value.estimate))}**")
    rows: list[tuple[Any, ...]] = [
        (name, label, *estimate_cells(value.estimate), value.conditions.set)
        for name, found in zip(names, (first, second), strict=True)
        for label, value in _list_numbers(found)
    ]
    table_with_csv(
        lambda: make_table(("circuit", "what", "value", "low", "high", "n", "unit", "set"), rows),
        "Side by side",
        "beside-table",
    )
    shared = {p.component for p in first.parts} & {p.component for p in second.parts}
    st.markdown(f"Components in both: {plain(', '.join(sorted(map(str, shared))) or 'none')}.")
    conditions_line(first.kept.conditions.as_pairs(), first.kept.estimate.n)


def _list_numbers(found: RecompositionResult) -> tuple[tuple[str, Measurement], ...]:
    return (
        ("lost without it", found.lost_together),
        ("kept by it alone", found.kept),
        ("unexplained", found.left_over),
    )


def offer_claims(claims: Sequence[Claim], components: Sequence[Component]) -> None:
    """Show claim files, to be frozen before their prompts are opened."""
    st.subheader("Propose as claim", anchor=False)
    st.markdown(
        "A claim fixes components, role, ablation, smallest effect of interest and level before the test. "
        "Edit the file as needed. `python -m audit_core test CLAIM.toml` judges it."
    )
    for column, claim in zip(st.columns(len(claims)), claims, strict=True):
        name = f"{format_components(components)[:40].replace(', ', '_')}-{claim.role.value}.toml"
        with column.container(border=True):
            st.markdown(f"**{claim.role.value}**, by more than {claim.delta:g} of the gap")
            st.code(dump_claim(claim), language="toml")
            st.download_button(
                "Download claim", dump_claim(claim), file_name=name, mime="application/toml", on_click="ignore",
                key=f"claim-{claim.role.value}", icon=":material/download:",
            )  # fmt: skip
