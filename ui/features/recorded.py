"""What was recorded of a shipped dictionary: beside its baselines, and in another version of the model."""

from __future__ import annotations

import streamlit as st

from audit_core import Estimate, format_estimate, make_table
from audit_core.errors import IntegrityError
from audit_core.feature_record import DIFFERENCE, EVALUATION, load_measure
from audit_core.features import (
    CAVEAT,
    DictionaryEntry,
    DictionaryEvaluation,
    FiringDifference,
)
from audit_core.tables import estimate_cells
from ui.parts.header import figure_header, plain, recorded_line, show_rows
from ui.parts.refusal import show_refusal

_ENDS = ("low", "high", "n")


def show_evaluation(entry: DictionaryEntry) -> None:
    """Show every measure of the dictionary beside its baselines."""
    figure_header(
        "Evaluation", "observational causal recorded",
        "the dictionary beside directions that know nothing of it. Loss recovered is measured by replacing; probes and letters are read.",
    )  # fmt: skip
    try:
        found = load_measure(entry.sha256, EVALUATION)
    except IntegrityError as error:
        show_refusal(error)
        return
    if found is None:
        st.markdown(f"Nothing is recorded of this dictionary. Measure it with `{_command('evaluate', entry)}`.")
        return
    result: DictionaryEvaluation = found.result
    st.markdown(f"**{plain(result.finding)}**")
    rows = [
        (one.family, *cells)
        for one in result.families
        for cells in (
            _row("loss recovered (causal)", one.recovered), _row("loss added (causal)", one.loss_added),
            _row("probe on one feature", one.probe_one), _row("probe on five features, or all", one.probe_five),
            _row("features of first letters", one.letters), _row("absorbed words", one.absorbed),
        )
        if cells[1] is not None
    ]  # fmt: skip
    show_rows(make_table(("family", "measure", "value", *_ENDS, "unit"), rows), "features-evaluation")
    sizes = [(one.family, one.l0, one.fvu) for one in result.families if one.l0 is not None]
    show_rows(
        make_table(("family", "active features per token", "variance not explained"), sizes), "features-evaluation-size"
    )
    chance = "" if result.chance is None else f" Labels of {plain(result.labels)}: chance is **{result.chance:.2f}**."
    st.markdown(
        f"**{result.n}** texts in **{result.n_clusters}** templates that were not trained on, **{result.n_tokens:,}** tokens."
        f"{chance} A probe says what can be read, not what is used. {CAVEAT}"
    )
    recorded_line(found.recorded_at, found.wall_s)


def show_difference(entry: DictionaryEntry) -> None:
    """Show which features fire differently in another version of the model."""
    figure_header(
        "Two versions", "observational recorded",
        "the same texts, read by two versions of the model. Intervals are over templates.",
    )  # fmt: skip
    try:
        found = load_measure(entry.sha256, DIFFERENCE)
    except IntegrityError as error:
        show_refusal(error)
        return
    if found is None:
        st.markdown(
            f"Nothing is recorded of this dictionary. Compare with `{_command('compare', entry)} --other MODEL`."
        )
        return
    result: FiringDifference = found.result
    st.markdown(f"**{plain(result.finding)}**")
    columns = (
        "feature",
        "differs",
        "share of tokens",
        "in the other version",
        "change",
        *_ENDS,
        "change of the mean value",
    )
    rows = [
        (
            one.component, one.differs, one.first.value, one.second.value, *estimate_cells(one.rate)[:4],
            format_estimate(one.value),
        )
        for one in result.rows
    ]  # fmt: skip
    show_rows(make_table(columns, rows), "features-versions")
    more = f" {result.more} more differ and are not listed." if result.more else ""
    st.markdown(
        f"**{plain(result.models[0])}** and **{plain(result.models[1])}**: **{result.n}** texts in **{result.n_clusters}** "
        f"templates. {result.n_silent} features fire in neither.{more} The dictionary leaves {result.fvu[0]:.2f} and "
        f"{result.fvu[1]:.2f} of the variance unexplained."
    )
    recorded_line(found.recorded_at, found.wall_s)


def _row(title: str, estimate: Estimate | None) -> tuple[object, ...]:
    if estimate is None:
        return (title, *(None,) * 5)
    return (title, *estimate_cells(estimate)[:4], estimate.unit)


def _command(action: str, entry: DictionaryEntry) -> str:
    return f"assay features {action} --model {entry.model} --dictionary {entry.name}"
