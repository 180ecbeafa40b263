"""Decisions on the page: what methods say of slots at the left, what changing a slot does at the right, and tables below."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from audit_core import format_estimate, make_table
from audit_core.decisions import DELTA, DESCRIBES, ApplicantRow, ConflictKind, DecisionsResult
from audit_core.tables import estimate_cells
from ui.decisions import drawings
from ui.decisions.fairness import show_group_rates, show_misses, show_reasons, show_through
from ui.parts import figures
from ui.parts.header import figure_header, plain, show_rows
from ui.parts.workbench import Table, pane_header, show_sentence, split_panes
from ui.vision.concepts import show_concept_rows

_ESTIMATE = ("value", "low", "high", "n", "unit")


def show_answer(result: DecisionsResult) -> None:
    """Show the finding, and which methods miss it."""
    show_sentence(result.finding, "causal" if result.does_task else "observational", result.n, "applicants")
    if not result.does_task:
        st.markdown(
            f"Said yes to {plain(format_estimate(result.said_yes))}. The planted decision model does this task: choose it above."
        )
        return
    show_misses(result.through, result.misses)


def show_panes(result: DecisionsResult, place: str = "") -> None:
    """Show estimated importance beside measured effects."""
    if not result.does_task:
        return
    left, right = split_panes(f"decisions{place}")
    with left:
        pane_header(
            "What methods say", "estimated",
            "Each point is the mean size of a slot's score over 24 applicants, with its 95 % interval. A score says nothing "
            "of what other slots carry.",
            table=Table(lambda: _table_said(result), "Scores by slot", f"said{place}"),
        )  # fmt: skip
        figures.show(
            drawings.draw_said(result), f"decisions-said{place}",
            "Mean size of Shapley values and LIME weights of each slot with intervals. The table has the numbers.",
        )  # fmt: skip
    with right:
        pane_header(
            "What changing it does", "causal",
            "Each point is the mean change when a slot goes from its first to its last level, over all applicants. The rows "
            "with *through* change another slot as the data's groups differ in it.",
            table=Table(lambda: _table_done(result), "Effects by slot", f"done{place}"),
        )  # fmt: skip
        figures.show(
            drawings.draw_done(result), f"decisions-done{place}",
            "Change of the preference for yes by each slot alone, and through another slot. The table has the numbers.",
        )  # fmt: skip


def list_tabs(result: DecisionsResult) -> dict[str, Callable[[], None]]:
    """Title → function of every tab."""
    return {
        "Fairness": lambda: show_fairness(result),
        "Local and global": lambda: show_aggregates(result),
        "Applicants": lambda: show_applicants(result),
        "Levels": lambda: show_curves(result),
        "Concepts": lambda: show_slot_concepts(result),
        "Surrogates": lambda: show_surrogates(result),
    }


def show_fairness(result: DecisionsResult, place: str = "") -> None:
    """Show flips, mediation and rates by group of protected attributes."""
    show_through(result.through, result.smallest, result.unit, f"decisions{place}")
    show_group_rates(result.groups, f"decisions{place}", "applicants")


def show_aggregates(result: DecisionsResult, place: str = "") -> None:
    """Show local scores over applicants beside the effect of the same slots, and where they disagree."""
    if not result.aggregates:
        st.markdown("This result was measured by an earlier version, which did not compare the file. Measure it again.")
        return
    _warn_of_conflicts(result)
    left, right = split_panes(f"aggregates{place}")
    with left:
        pane_header(
            "Local scores, averaged", "estimated",
            "Each point is the mean score towards a slot's last level, of applicants at its first or last level. The table "
            "has the mean size, and the spread over applicants.",
            table=Table(lambda: _table_aggregates(result), "Local scores over applicants", f"aggregates{place}"),
        )  # fmt: skip
        figures.show(
            drawings.draw_towards(result), f"decisions-towards{place}",
            "Mean local score of each slot towards its last level, by Shapley values and LIME, with intervals.",
        )  # fmt: skip
    with right:
        pane_header(
            "Effect on everyone", "causal",
            "Each point is the mean change when a slot goes from its first to its last level, over all applicants.",
            table=Table(lambda: _table_done(result), "Effects by slot", f"effects{place}"),
        )  # fmt: skip
        figures.show(
            drawings.draw_effects(result), f"decisions-effects{place}",
            "Mean change of the preference for yes when each slot goes from its first to its last level.",
        )  # fmt: skip
    st.markdown(
        "Intervals are 95 % each, not joint. A large spread says that a slot acts differently on different people."
    )


def _warn_of_conflicts(result: DecisionsResult) -> None:
    """Name slots whose local scores contradict their effect."""
    if not result.conflicts:
        st.markdown("No slot's local scores contradict its effect by whole intervals.")
        return
    lines = [
        f"- {plain(row.method)}: *{plain(row.first)}* has opposite signs."
        if row.kind == ConflictKind.SIGN
        else f"- {plain(row.method)}: *{plain(row.first)}* is larger than *{plain(row.second)}* by score and smaller by effect."
        for row in result.conflicts
    ]
    st.warning("Local scores and measured effects disagree:\n\n" + "\n".join(lines), icon=":material/warning:")


def show_applicants(result: DecisionsResult, place: str = "") -> None:
    """Show one applicant: local values, alternatives, reasons and anchor."""
    if not result.applicants:
        return
    ids = [row.id for row in result.applicants]
    chosen = st.selectbox("Applicant", ids, key=f"applicant{place}", width=260)
    row = next(one for one in result.applicants if one.id == chosen)
    st.markdown(
        f"{plain(row.values)}. Decision: **{plain('yes' if row.is_yes else 'no')}**, {row.preference:+.2f} logits."
    )
    _show_alternatives(row, place)
    if not row.is_yes:
        show_reasons(row.reasons, row.reasons_state, result.unit)
    if row.precision is not None and row.coverage is not None:
        figure_header(
            "Anchor", "causal observational", "with these values the decision stays, whatever the other slots are."
        )
        st.markdown(
            f"**{plain(row.anchor)}**. Precision: at least {row.precision.low or 0:.2f} with 95 % (n = {row.precision.n}, "
            f"applicants that did not choose the rule). Coverage: {plain(format_estimate(row.coverage))}."
        )
    figure_header(
        "Shapley values",
        "estimated",
        "one applicant, so no interval. Their sum is the preference minus that of the comparison applicants.",
    )
    show_rows(
        make_table(("slot", "logits"), list(zip(result.slots, row.shapley, strict=True))), f"decisions-shapley{place}"
    )


def _show_alternatives(row: ApplicantRow, place: str) -> None:
    figure_header("Counterfactuals", "causal", "only slots that may change, in their direction. Each was run again.")
    if not row.alternatives:
        st.markdown("No allowed change turns this decision.")
        return
    names = ("change", "preference, logits", "distance", "every pair of values occurs")
    rows = [(one.changes, one.value, one.distance, one.is_seen) for one in row.alternatives]
    show_rows(make_table(names, rows), f"decisions-alternatives{place}")


def show_curves(result: DecisionsResult, place: str = "") -> None:
    """Show partial dependence, individual curves and accumulated effects of one slot."""
    slot = st.selectbox("Slot", result.slots, key=f"curve-slot{place}", width=260)
    figure_header(
        "Levels of a slot", "causal",
        "the line is the mean over applicants, the bars reach from the lowest to the highest applicant. Dots: only applicants "
        "at neighbouring levels.",
    )  # fmt: skip
    impossible = next(row.impossible for row in result.curves if row.slot == slot)
    if impossible:
        st.warning(
            f"{100 * impossible:.0f} % of these combinations hold two values that no applicant has together. "
            "Accumulated effects leave most of them out.",
            icon=":material/warning:",
        )
    figures.show(
        drawings.draw_curves(result, slot), f"decisions-curves{place}",
        "Mean preference at each level, its range over applicants, and accumulated effects. The table has the numbers.",
    )  # fmt: skip
    names = ("level", "applicants", *_ESTIMATE, "lowest", "highest", "accumulated")
    rows = [
        (row.level, row.n, *estimate_cells(row.partial), row.lowest, row.highest, row.accumulated)
        for row in result.curves
        if row.slot == slot
    ]
    show_rows(make_table(names, rows), f"decisions-levels{place}")


def show_slot_concepts(result: DecisionsResult, place: str = "") -> None:
    """Show each slot as a direction: what TCAV says, and what moving along it does."""
    if not result.concepts:
        why = result.no_concepts or "the result is of an earlier version, which did not try them."
        st.markdown(f"Concepts were not tried: {plain(why)}")
        return
    st.markdown(
        "A concept is a slot's last level against its first, in the residual stream at the end of the prompt. TCAV asks in "
        "which direction gradients point, and not how much a decision changes."
    )
    show_concept_rows(result.concepts, DELTA, result.concepts[0].brought.unit, "applicants", f"slots{place}")


def show_surrogates(result: DecisionsResult, place: str = "") -> None:
    """Show both surrogates with their fidelity."""
    figure_header("Global surrogates", "estimated", "simple models of the model, fitted on half of the applicants.")
    st.markdown(f"**{plain(DESCRIBES)}**")
    for row in result.surrogates:
        st.markdown(
            f"{plain(row.name.capitalize())}: same decision on {plain(format_estimate(row.same))}, held out. "
            + ("" if row.variance is None else f"R² = {row.variance:.2f}.")
        )
        show_rows(
            make_table(("rule, logits",), [(rule,) for rule in row.rules]), f"decisions-{row.name.split()[0]}{place}"
        )


def _table_aggregates(result: DecisionsResult) -> object:
    names = (
        "method", "slot", *(f"size {part}" for part in _ESTIMATE), "SD over applicants",
        *(f"towards last level {part}" for part in _ESTIMATE),
    )  # fmt: skip
    rows = [
        (row.method, row.slot, *estimate_cells(row.size), row.spread, *estimate_cells(row.toward))
        for row in result.aggregates
    ]
    return make_table(names, rows)


def _table_said(result: DecisionsResult) -> object:
    names = (
        "slot",
        *(f"Shapley {part}" for part in _ESTIMATE),
        *(f"LIME {part}" for part in _ESTIMATE),
        "LIME, SD of seeds",
    )
    rows = [
        (row.slot, *estimate_cells(row.shapley), *estimate_cells(row.lime), row.lime_spread) for row in result.by_slot
    ]
    return make_table(names, rows)


def _table_done(result: DecisionsResult) -> object:
    names = (
        "slot", "protected", *(f"effect {part}" for part in _ESTIMATE), "decisions flipped", "flipped from", "flipped to",
        *(f"permuted {part}" for part in _ESTIMATE),
    )  # fmt: skip
    rows = [
        (
            row.slot, row.is_protected, *estimate_cells(row.effect), row.flipped.value, row.flipped.low, row.flipped.high,
            *estimate_cells(row.permuted),
        )
        for row in result.by_slot
    ]  # fmt: skip
    return make_table(names, rows)
