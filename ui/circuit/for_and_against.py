"""Evidence for and against a circuit, two circuits side by side, and claim files to download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from audit_core import Claim, Component, format_components, format_estimate, make_table
from audit_core.assessment import Balance
from audit_core.audits import DiscoverResult, RecompositionResult
from audit_core.claim import dump_claim
from audit_core.stats import Measurement
from audit_core.tables import estimate_cells
from ui.parts.header import conditions_line, figure_header, plain, show_table, table_with_csv

SHOWN = 20
HEIGHT = 300
"""Height of each side in pixels: equal, whatever each holds."""
_READING = (
    "Findings on the confirmatory split. Whether these prompts were already used to choose this circuit is not recorded "
    "here. Findings are not added up. One sound finding against outweighs any number for it."
)
MOST = 40


def show_balance(balance: Balance, quick: Balance) -> None:
    """Show evidence for and against in two equal columns, and below what is unresolved, exploratory or not measured.

    Args:
        balance: of answers in full.
        quick: of quick answers, which are exploratory and take no side.
    """
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown("**For and against**", help=_READING)
        st.badge("causal", icon=":material/science:", color="violet")
    columns = (
        ("For", ":material/add_circle:", balance.speaks_for),
        ("Against", ":material/do_not_disturb_on:", balance.speaks_against),
    )
    for column, (title, icon, found) in zip(st.columns(2), columns, strict=True):
        with column.container(border=True, height=HEIGHT):
            st.markdown(f"**{icon} {title} ({len(found)})**")
            # Small, so that a laptop shows most of a finding without scrolling in its box.
            st.markdown("".join(f"- :small[{plain(text)}]\n" for text in found))
            if not found:
                st.markdown("No findings yet.")
    with st.container(horizontal=True, gap="small"):
        _show_rest("Unresolved", ":material/help:", balance.unresolved)
        # Without a side: on so few prompts nothing speaks for or against.
        first_look = (*quick.speaks_for, *quick.speaks_against, *quick.unresolved, *quick.about_the_search)
        _show_rest("Exploratory", ":material/explore:", first_look)
        _show_rest("About the search", ":material/search:", balance.about_the_search)
        _show_rest("Not measured", ":material/pending:", balance.not_asked)


def _show_rest(title: str, icon: str, found: Sequence[str]) -> None:
    if found:
        with st.popover(f"{title} ({len(found)})", icon=icon):
            _show_sentences(found)


def _show_sentences(found: Sequence[str]) -> None:
    for text in found:
        st.markdown(f"- {plain(text)}")


def show_proposal(found: DiscoverResult) -> None:
    """Show the order that a discovery method found, and adopt its first components as the circuit."""
    figure_header(
        "Proposed circuit", "causal" if found.is_measured else "estimated",
        f"components by size of effect on {found.n} exploratory prompts. This is a proposal, to be judged on the confirmatory split. "
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
