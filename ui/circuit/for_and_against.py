"""Evidence and counter-evidence in the same space, two circuits side by side, and the way to a claim."""

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
    """Two columns of one width, and below them what is open."""
    figure_header(
        "For and against", "causal",
        "findings on the confirmatory half, unless a sentence says otherwise. Whether these prompts were already used to choose this "
        "circuit is not known here. Nothing is added up: one sound finding against outweighs any number that speak for it.",
    )  # fmt: skip
    columns = (
        ("Speaks for it", ":material/add_circle:", balance.speaks_for),
        ("Speaks against it", ":material/do_not_disturb_on:", balance.speaks_against),
    )
    for column, (title, icon, found) in zip(st.columns(2), columns, strict=True):
        with column.container(border=True, height=320):
            st.markdown(f"**{icon} {title} ({len(found)})**")
            _show_sentences(found)
            if not found:
                st.markdown("Nothing found so far.")
    with st.container(border=True):
        st.markdown(f"**:material/help: Unresolved ({len(balance.unresolved)})**")
        _show_sentences(balance.unresolved)
        if balance.about_the_search:
            st.markdown("**:material/search: About circuits that the search found, not about this one**")
            _show_sentences(balance.about_the_search)
        if balance.not_asked:
            st.markdown(f"**Not asked yet ({len(balance.not_asked)}):** {plain(' '.join(balance.not_asked))}")
    conditions_line(conditions.as_pairs(), n)


def _show_sentences(found: Sequence[str]) -> None:
    for text in found:
        st.markdown(f"- {plain(text)}")


def show_proposal(found: DiscoverResult) -> None:
    """The order that a method found, and taking its first components over as the circuit."""
    figure_header(
        "What the method proposes", "causal" if found.is_measured else "estimated",
        f"components in order of size of effect on {found.n} exploratory prompts. A proposal, not a finding: it is judged below, on "
        f"the other half. {plain(found.misses)}",
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
    if st.button(f"Take the first {size} as the circuit", icon=":material/arrow_downward:"):
        st.session_state.next_circuit = ", ".join(found.components[: int(size)])
        st.rerun()


def _read_size(most: int) -> int:
    text = st.session_state.get("size", "6")
    return max(1, min(most, int(text) if text.isdecimal() and len(text) < 4 else 6))


def _keep_size() -> None:
    st.session_state.size = str(st.session_state.size_chosen)


def show_beside(first: RecompositionResult, second: RecompositionResult, names: Sequence[str]) -> None:
    """Two circuits on the same prompts, by the same replacement."""
    figure_header("Side by side", "causal", "both circuits on the same prompts, on one scale; nothing is clipped.")
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
    return (("lost without it", found.lost_together), ("kept by it alone", found.kept), ("left over", found.left_over))


def offer_claims(claims: Sequence[Claim], components: Sequence[Component]) -> None:
    """The claim files that a later run holds to: written down before their prompts are looked at."""
    st.subheader("Propose as claim", anchor=False)
    st.markdown(
        "A claim fixes components, role, replacement, smallest effect of interest and level before it is tested. Change what you "
        "like in the file; `python -m audit_core test CLAIM.toml` judges it."
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
