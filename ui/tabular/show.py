"""Tabular models on the page Decisions: what methods say at the left, what changing an input does at the right, tables below."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from audit_core import format_estimate, make_table
from audit_core.decisions import DESCRIBES
from audit_core.tables import estimate_cells
from audit_core.tabular import ON_INPUT, CaseRow, ReadableRow, TabularResult
from ui.decisions.fairness import show_group_rates, show_misses, show_reasons, show_through
from ui.parts import figures
from ui.parts.header import controls_line, figure_header, plain, show_rows
from ui.parts.workbench import Table, pane_header, show_sentence, split_panes
from ui.tabular import drawings

_ESTIMATE = ("value", "low", "high", "n", "unit")


def show_answer(result: TabularResult) -> None:
    """Show the finding, what a change of an input is, and whether a readable model does as well."""
    show_sentence(result.finding, "causal" if result.does_task else "observational", result.n, "rows")
    if not result.does_task:
        st.markdown(f"Said yes to {plain(format_estimate(result.said_yes))}.")
        return
    st.markdown(plain(ON_INPUT))
    show_misses(result.through, result.misses)
    best = pick_readable(result)
    if best is not None and best.auc is not None and best.lead is not None:
        st.markdown(
            f"Observed: the best readable model is *{plain(best.name)}*: {plain(format_estimate(best.auc))}. "
            f"The audited model's minus that: {plain(format_estimate(best.lead))}."
        )


def pick_readable(result: TabularResult) -> ReadableRow | None:
    """The readable model with the largest AUC; None where none was fitted."""
    fitted = [row for row in result.readable if row.auc is not None]
    return max(fitted, key=lambda row: row.auc.value if row.auc is not None else 0.0) if fitted else None


def show_panes(result: TabularResult, place: str = "") -> None:
    """Show estimated importance beside measured effects."""
    if not result.does_task:
        return
    how = "exact, from all sets of features" if result.is_exact else "sampled over random orders"
    left, right = split_panes(f"tabular{place}")
    with left:
        pane_header(
            "What methods say", "estimated",
            f"Each point is the mean size of a feature's score over 24 rows, with its 95 % interval. Shapley values are {how}.",
            table=Table(lambda: _table_said(result), "Scores by feature", f"tabular-said{place}"),
        )  # fmt: skip
        figures.show(
            drawings.draw_said(result), f"tabular-said{place}",
            "Mean size of Shapley values and LIME weights of each feature with intervals. The table has the numbers.",
        )  # fmt: skip
    with right:
        pane_header(
            "What changing the input does", "causal",
            "Each point is the mean change when one feature goes from its 10th to its 90th percentile in every row. All other "
            "features stay as they are, so some of these rows are unlike any in the file.",
            table=Table(lambda: _table_done(result), "Effects by feature", f"tabular-done{place}"),
        )  # fmt: skip
        figures.show(
            drawings.draw_done(result), f"tabular-done{place}",
            "Change of the preference for yes by each feature alone. The table has the numbers.",
        )  # fmt: skip


def list_tabs(result: TabularResult, place: str = "") -> dict[str, Callable[[], None]]:
    """Title → function of every tab."""
    return {
        "Readable models": lambda: show_readable(result, place),
        "Fairness": lambda: show_fairness(result, place),
        "Rows": lambda: show_cases(result, place),
        "Curves": lambda: show_curves(result, place),
        "Permutation": lambda: show_permutation(result, place),
        "Remove and retrain": lambda: show_retrained(result, place),
        "Surrogates": lambda: show_surrogates(result, place),
    }


def show_readable(result: TabularResult, place: str = "") -> None:
    """Show models that can be read, fitted on the outcomes, beside the audited one."""
    figure_header(
        "Readable models", "observational",
        "each is fitted here on the right answers, and compared on rows that it was not fitted on. They describe themselves.",
    )  # fmt: skip
    if not result.is_divided:
        st.warning(
            "The file does not say which rows the audited model was trained on. If these are among them, its lead is too large.",
            icon=":material/warning:",
        )
    names = (
        "model", "rows fitted on", *(f"AUC {part}" for part in _ESTIMATE), *(f"lead {part}" for part in _ESTIMATE),
        *(f"same decision {part}" for part in _ESTIMATE), "not fitted because",
    )  # fmt: skip
    rows = [
        (
            row.name,
            row.n_fit,
            *estimate_cells(row.auc),
            *estimate_cells(row.lead),
            *estimate_cells(row.same),
            row.missing,
        )
        for row in result.readable
    ]
    show_rows(make_table(names, rows), f"tabular-readable{place}")
    for row in result.readable:
        if row.rules:
            with st.expander(plain(row.name.capitalize())):
                st.code("\n".join(row.rules), language=None)


def show_fairness(result: TabularResult, place: str = "") -> None:
    """Show mediation and rates by group of protected features."""
    if not any(row.is_protected for row in result.by_feature):
        st.markdown(
            "No feature is marked as protected. Mark one under *Marks* in *Your own model and rows*, such as: age, protected."
        )
        return
    if not result.groups:
        st.markdown("This result was measured by an earlier version, which did not compare groups. Measure it again.")
        return
    show_through(
        result.through, result.smallest, result.unit, f"tabular{place}",
        "A feature with many values is run at the medians of nine parts; a protected one with more than four values is "
        "divided at its median.",
    )  # fmt: skip
    show_group_rates(result.groups, f"tabular{place}", "rows")


def show_cases(result: TabularResult, place: str = "") -> None:
    """Show one row: local scores, alternatives and anchor."""
    chosen = st.selectbox("Row", [row.id for row in result.cases], key=f"tabular-case{place}", width=260)
    row = next(one for one in result.cases if one.id == chosen)
    st.markdown(
        f"{plain(row.values)}. Decision: **{plain('yes' if row.is_yes else 'no')}**, {row.preference:+.2f} {plain(result.unit)}."
    )
    _show_alternatives(row, result.unit, place)
    if row.reasons_state:
        show_reasons(row.reasons, row.reasons_state, result.unit)
    if row.precision is not None and row.coverage is not None:
        figure_header(
            "Anchor", "causal observational", "inside these ranges the decision stays, whatever the other features are."
        )
        st.markdown(
            f"**{plain(row.anchor)}**. Precision: at least {row.precision.low or 0:.2f} with 95 % (n = {row.precision.n}, "
            f"rows that did not choose the rule). Coverage: {plain(format_estimate(row.coverage))}."
        )
    figure_header(
        "Local scores", "estimated",
        "one row, so no interval. Shapley values add up to its preference minus the mean of 50 comparison rows.",
    )  # fmt: skip
    names = ("feature", "Shapley", "SE of sampling", "LIME", "LIME, SD of seeds")
    rows = list(zip(result.features, row.shapley, row.shapley_errors, row.lime, row.lime_spread, strict=True))
    show_rows(make_table(names, rows), f"tabular-local{place}")


def _show_alternatives(row: CaseRow, unit: str, place: str) -> None:
    figure_header(
        "Counterfactuals", "causal", "other numbers with which the model decides otherwise. Each was run again."
    )
    if not row.alternatives:
        st.markdown("No allowed change of one or two features turns this decision.")
        return
    names = ("change", f"preference, {unit}", "distance, MADs", "far from all rows")
    rows = [(one.changes, one.value, one.distance, one.is_far) for one in row.alternatives]
    show_rows(make_table(names, rows), f"tabular-alternatives{place}")


def show_curves(result: TabularResult, place: str = "") -> None:
    """Show individual curves, partial dependence and accumulated effects of one feature."""
    features = list(dict.fromkeys(row.feature for row in result.curves))
    feature = st.selectbox("Feature", features, key=f"tabular-curve{place}", width=260)
    figure_header(
        "Curves of a feature", "causal",
        "thin lines are single rows, the thick one is their mean. Dots move each row only to the nearest points.",
    )  # fmt: skip
    rows = [row for row in result.curves if row.feature == feature]
    most = max(row.impossible for row in rows)
    if most > 0.01:
        st.warning(
            f"At one of these points {100 * most:.0f} % of the rows are far from every row of the file: such inputs may be "
            "impossible. Accumulated effects leave most of them out.",
            icon=":material/warning:",
        )
    figures.show(
        drawings.draw_curves(result, feature), f"tabular-curves{place}",
        "Preference at each value: single rows, their mean, and accumulated effects. The table has the numbers.",
    )  # fmt: skip
    names = ("at", "rows in the step", *_ESTIMATE, "lowest", "highest", "accumulated", "far from all rows")
    cells = [
        (row.at, row.n, *estimate_cells(row.partial), row.lowest, row.highest, row.accumulated, row.impossible)
        for row in rows
    ]
    show_rows(make_table(names, cells), f"tabular-points{place}")


def show_permutation(result: TabularResult, place: str = "") -> None:
    """Show permutation importance, with the checks of the instrument."""
    figure_header(
        "Permutation importance", "causal",
        "a feature's values come from other measured rows, 20 times. Loss: how much worse the predictions get.",
    )  # fmt: skip
    st.markdown(
        "A feature may lose nothing here because another one carries the same information. *Changed* is the mean size of the change."
    )
    names = (
        "feature", "protected", *(f"loss {part}" for part in _ESTIMATE), *(f"changed {part}" for part in _ESTIMATE)
    )  # fmt: skip
    rows = [
        (row.feature, row.is_protected, *estimate_cells(row.loss), *estimate_cells(row.permuted))
        for row in result.by_feature
    ]
    show_rows(make_table(names, rows), f"tabular-permutation{place}")
    for one in result.conflicts:
        st.warning(
            f"{plain(one.method)}: *{plain(one.first)}* is larger than *{plain(one.second)}* by score and smaller by effect.",
            icon=":material/warning:",
        )
    if result.controls is not None:
        controls_line(result.controls)


def show_retrained(result: TabularResult, place: str = "") -> None:
    """Show what models trained without each method's first features lose."""
    if not result.retrained:
        st.markdown(
            plain(result.not_retrained or "This result was measured by an earlier version, which did not retrain.")
        )
        return
    figure_header(
        "Remove and retrain", "observational",
        "a boosted model is trained again without the features that a method puts first, and without random ones.",
    )  # fmt: skip
    st.markdown(
        "This says what the other features still hold, and not what the audited model uses: a feature with a copy costs nothing. "
        "Intervals are over rows that nothing was trained on, 95 % each."
    )
    names = (
        "method", "share", "removed", "says", *(f"AUC lost {part}" for part in _ESTIMATE),
        *(f"minus random {part}" for part in _ESTIMATE), "random, lowest", "random, highest",
    )  # fmt: skip
    rows = [
        (
            row.method, row.share, row.removed, row.says, *estimate_cells(row.lost), *estimate_cells(row.gain), row.lowest,
            row.highest,
        )
        for row in result.retrained
    ]  # fmt: skip
    show_rows(make_table(names, rows), f"tabular-retrained{place}")


def show_surrogates(result: TabularResult, place: str = "") -> None:
    """Show both surrogates with their fidelity."""
    figure_header(
        "Global surrogates", "estimated",
        "simple models of the model, fitted on half of the rows. They may name a feature for what a related one does.",
    )  # fmt: skip
    st.markdown(f"**{plain(DESCRIBES)}**")
    for row in result.surrogates:
        st.markdown(
            f"{plain(row.name.capitalize())}: same decision on {plain(format_estimate(row.same))}, held out. "
            + ("" if row.variance is None else f"R² = {row.variance:.2f}.")
        )
        show_rows(
            make_table((f"rule, {result.unit}",), [(rule,) for rule in row.rules]),
            f"tabular-{row.name.split()[0]}{place}",
        )


def _table_said(result: TabularResult) -> object:
    names = (
        "feature", *(f"Shapley {part}" for part in _ESTIMATE), "SE of sampling", *(f"LIME {part}" for part in _ESTIMATE),
        "LIME, SD of seeds",
    )  # fmt: skip
    rows = [
        (row.feature, *estimate_cells(row.shapley), row.shapley_error, *estimate_cells(row.lime), row.lime_spread)
        for row in result.by_feature
    ]
    return make_table(names, rows)


def _table_done(result: TabularResult) -> object:
    names = (
        "feature", "protected", "from", "to", *(f"effect {part}" for part in _ESTIMATE), "decisions flipped",
        "flipped from", "flipped to",
    )  # fmt: skip
    rows = [
        (
            row.feature, row.is_protected, row.low, row.high, *estimate_cells(row.effect), row.flipped.value,
            row.flipped.low, row.flipped.high,
        )
        for row in result.by_feature
    ]  # fmt: skip
    return make_table(names, rows)
