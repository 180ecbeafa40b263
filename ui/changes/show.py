"""Two versions of a model on the page, and the change log of claims."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from audit_core import AuditError, format_estimate, make_table
from audit_core.change import EffectDiff, ModelDiff
from audit_core.governance import Permission
from audit_core.jobs import JobState, Snapshot
from audit_core.sample import find_record, read_recorded_change
from audit_core.store import Register, StaleRow
from ui.flow import actions, sample
from ui.parts import figures
from ui.parts.header import counted, figure_header, plain, show_table, table_with_csv
from ui.parts.refusal import show_refusal

SHOWN = 30
"""Rows on the page; the file has all rows of the comparison."""
DRAWN = 8
"""Components in the figure, those whose effect changed most."""


def show_end(snapshot: Snapshot) -> None:
    """Show the result of the comparison, or its error."""
    if snapshot.state is not JobState.DONE:
        st.error(plain(snapshot.error) or "Cancelled. Its results are discarded.", icon=":material/error:")
        return
    found, effects = snapshot.result
    if effects is not None:
        show_effects(effects)
    show_diff(found)


def show_diff(found: ModelDiff) -> None:
    """Show the differences between the files, per head where the layout allows it."""
    st.header("Differences between the files", anchor=False)
    st.markdown(f"`{found.before.short}` → `{found.after.short}`")
    if found.is_same:
        st.info("Every relevant file has the same bytes.", icon=":material/drag_handle:")
        return
    st.markdown(
        f"**Different: {found.n_changed} of {counted(found.n_tensors, 'tensor')}, in {counted(found.n_components, 'component')}.** "
        "The size of a weight change does not show its causal effect."
    )
    if found.not_by_head:
        st.warning(f"Heads are not distinguished: {plain(found.not_by_head)}.", icon=":material/warning:")
    rows = [
        (one.component, ", ".join(one.parts), _show(one.max_abs), _show(one.relative), one.reason) for one in found.components
    ]  # fmt: skip
    rows += [(name, "in no head or MLP", "", "", "") for name in found.outside]
    columns = ("component", "tensors", "largest weight difference", "relative, Frobenius", "reason for no number")
    show_table(make_table(columns, rows[:SHOWN]), key="parts")
    table_with_csv(lambda: make_table(columns, rows), "Components that differ", "parts-rows")
    reported = found.tokenizer
    settings = [(one.file, one.key, one.before, one.after) for one in (*found.settings, *reported.settings)]
    if reported.vocabulary is not None and not reported.vocabulary.is_same:
        words = reported.vocabulary
        settings.append(
            ("tokenizer", "vocabulary", "", f"{words.n_added} added, {words.n_removed} removed, {words.n_moved} moved")
        )
    for is_other, name in ((reported.has_other_merges, "merges"), (reported.has_other_template, "chat template")):
        settings += [("tokenizer", name, "", "differs")] if is_other else []
    if settings:
        st.subheader("Tokenizer and settings", anchor=False)
        show_table(make_table(("file", "setting", "before", "after"), settings[:200]), key="settings")


def show_effects(found: EffectDiff) -> None:
    """Show every component's effect in both versions, on the same prompts."""
    ranked = sorted(found.rows, key=lambda row: -abs(row.difference.value))
    if ranked:
        top = ranked[0]
        st.markdown(
            f"**The effect of {plain(top.component)} changed most: from {plain(format_estimate(top.before))} to {plain(format_estimate(top.after))}.**"
        )
    figure_header(
        "Causal effect in both versions", "causal",
        f"each {found.kind} is ablated alone in each version, on the same {counted(found.n, 'prompt')} in {counted(found.n_templates, 'template')}. "
        f"Drawn are those that changed most, with 95 % intervals.",
    )  # fmt: skip
    if found.no_marks:
        st.info(f"Nothing is marked: {plain(found.no_marks)}", icon=":material/info:")
    marks = {True: "changed", False: "no change shown", None: "not marked"}
    rows = [
        (row.component, format_estimate(row.before), format_estimate(row.after), format_estimate(row.difference), marks[row.is_changed])
        for row in ranked
    ]  # fmt: skip
    drawn = ranked[:DRAWN]
    series = [
        ("before", "circle-open", [row.before for row in drawn]),
        ("after", "diamond", [row.after for row in drawn]),
    ]
    figures.show(
        figures.interval_rows(
            [row.component for row in drawn], series, unit=f"Effect, {found.unit}", lines=[(0.0, "no effect")], is_effect=True
        ),
        "effects-figure", "Effects before and after with their intervals. The table has the numbers.",
    )  # fmt: skip
    columns = ("component", "before", "after", "difference", "at 5 %, Holm over all")
    table_with_csv(lambda: make_table(columns, rows), "Effects in both", "effects-rows")


def show_log(rows: Sequence[StaleRow]) -> None:
    """Show what made claims stale, and which runs tested them again."""
    st.header("Stale claims", anchor=False)
    if not rows:
        st.markdown(
            "None yet. `python -m audit_core revalidate --model NAME` compares the claims with the current model. "
            "A pipeline can run it at each change."
        )
        return
    shown = [
        (
            row.number, row.trigger.claim_id, row.trigger.describe(), row.trigger.by, row.trigger.at[:19],
            "open" if row.is_open else f"tested again by run {row.answered_by[:12]}",
        )
        for row in reversed(rows)
    ]  # fmt: skip
    columns = ("number", "claim", "what changed", "by", "when, UTC", "status")
    show_table(make_table(columns, shown), key="change-log")
    table_with_csv(lambda: make_table(columns, shown), "The change log", "change-log-rows")


def show_recorded(home: Path) -> None:
    """Show the comparison of two models that was recorded with the sample; nothing for other records."""
    if find_record(home) is None:
        return
    found = read_recorded_change(home)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.header("The default model and an edited sibling", anchor=False, width="content")
        st.badge("recorded", icon=":material/history:", color="blue")
    show_effects(found.effects)
    show_diff(found.models)


def ask_incident() -> None:
    """Form to report an incident that no file shows; the claim is stale until it is tested again."""
    if (error := st.session_state.pop("incident_refused", None)) is not None:
        show_refusal(error)
    try:
        claims = [one.claim_id for one in Register(sample.records_home()).list_claims()]
    except AuditError as found:
        show_refusal(found)
        return
    if not claims or not actions.may(Permission.DECLARE_INCIDENT):
        return
    with st.form("incident", border=True, clear_on_submit=True):
        st.selectbox("Report an incident for claim", claims, key="incident_claim")
        st.text_input("What happened", key="incident_reason", max_chars=400)
        st.form_submit_button("Mark the claim as stale", icon=":material/report:", on_click=_declare)


def _declare() -> None:
    try:
        actions.declare(st.session_state.incident_claim, st.session_state.incident_reason)
    except AuditError as error:
        st.session_state.incident_refused = error


def _show(number: float | None) -> str:
    return "" if number is None else f"{number:.3g}"
