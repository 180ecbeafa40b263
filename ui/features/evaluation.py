"""The tab Evaluation: a dictionary beside its baselines, recorded or measured by a job."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from audit_core import AuditError, Auditor, Estimate, make_table
from audit_core.features import CAVEAT, DictionaryEntry, DictionaryEvaluation, EvaluationRequest, read_labelled_file
from audit_core.probes import SHIPPED, read_shipped
from audit_core.subject_family import find_planted
from audit_core.tables import estimate_cells
from ui.features import texts
from ui.features.recorded import find_recorded
from ui.flow import answers
from ui.flow.answers import show_refusal
from ui.parts import figures
from ui.parts.header import controls_line, figure_header, plain, recorded_line, show_rows, table_with_csv

AUDIT = "feature_evaluation"
_ENDS = ("low", "high", "n")


def show_evaluation(model: str, entry: DictionaryEntry, auditor: Auditor | None) -> None:
    """Ask for texts, and show every measure of the dictionary beside its baselines."""
    with st.container(horizontal=True):
        upload = texts.ask_upload("evaluation")
        labelled = _ask_labelled(model)
    recorded = None if upload is not None or labelled != (SHIPPED[0], None) else find_recorded(AUDIT, model, entry)
    measured = None
    if auditor is not None:
        try:
            request = _make_request(auditor, model, entry, upload, labelled)
        except AuditError as error:
            show_refusal(error)
            return
        if recorded is not None and not recorded.answers(request, auditor.subject.identity.weights_sha256):
            recorded = None
        if recorded is None:
            title = f"Evaluate on {len(request.prompts)} texts"
            measured = answers.answer_by_job(auditor, AUDIT, title, request, at_once=False)
    if measured is not None:
        show_result(measured)
    elif recorded is not None:
        show_result(recorded.result, "recorded")
        recorded_line(recorded.measured_with.recorded_at, recorded.wall_s)
    elif auditor is None:
        st.info(
            "An evaluation reads the model. It can start when the model is loaded.", icon=":material/hourglass_top:"
        )


def _ask_labelled(model: str) -> tuple[str, bytes | None]:
    """Labelled texts for sparse probes: a shipped file by its name, or an upload; no name: none."""
    with st.popover("Labelled texts", icon=":material/label:"):
        st.markdown(
            "For sparse probes: a CSV file with *text* and *label* (two labels), as the page *Probes* takes it. Without one, the "
            "shipped texts are used: singular or plural subject."
        )
        upload: Any = st.file_uploader(
            "Labelled texts as CSV", type="csv", max_upload_size=texts.MOST_MB, key="labels-evaluation"
        )
    if upload is not None:
        st.markdown(f"Labels: **{plain(upload.name)}**")
        return upload.name, upload.getvalue()
    return ("" if find_planted(model) else SHIPPED[0]), None


def _make_request(
    auditor: Auditor,
    model: str,
    entry: DictionaryEntry,
    upload: tuple[str, bytes] | None,
    labelled: tuple[str, bytes | None],
) -> EvaluationRequest:
    read, source = texts.read_texts(auditor, model, upload)
    name, raw = labelled
    rows = read_labelled_file(raw or read_shipped(name), name, auditor.subject.tokenizer) if name else None
    return EvaluationRequest(read, source, entry.name, rows)


def show_result(result: DictionaryEvaluation, badge: str = "", place: str = "") -> None:
    """Show the sentence, the losses, and what is read."""
    st.markdown(f"**{plain(result.finding)}**")
    figure_header(
        "Loss recovered", f"causal {badge}",
        "the activations of the layer are replaced by what each family rebuilds of them: 1 is the loss of the model as it is, 0 that "
        "with the mean activation. Bars are 95 % intervals over templates.",
    )  # fmt: skip
    figures.show(
        _draw_losses(result), key=f"figure-evaluation{place}",
        alt="Loss recovered by the dictionary and by its baselines, with intervals. The table has the numbers.",
    )  # fmt: skip
    rows = [
        (one.family, one.l0, one.fvu, *cells)
        for one in result.families
        for cells in (_row("loss recovered", one.recovered), _row("loss added", one.loss_added))
        if cells[1] is not None
    ]
    columns = ("family", "active features per token", "variance not explained", "measure", "value", *_ENDS, "unit")
    table_with_csv(lambda: make_table(columns, rows), "Losses", f"losses{place}")
    figure_header(
        "What is read", f"observational {badge}",
        "a probe says what can be read, not what is used. Each accuracy is on templates that the probe was not trained on.",
    )  # fmt: skip
    read = [
        (one.family, *cells)
        for one in result.families
        for cells in (
            _row("probe on one feature", one.probe_one), _row("probe on five features, or all", one.probe_five),
            _row("features of first letters", one.letters), _row("absorbed words", one.absorbed),
        )
        if cells[1] is not None
    ]  # fmt: skip
    if read:
        show_rows(make_table(("family", "measure", "value", *_ENDS, "unit"), read), f"features-evaluation{place}")
    else:
        st.markdown("Nothing was read: no labelled texts were given, and this vocabulary has too few words.")
    chance = "" if result.chance is None else f" Labels of {plain(result.labels)}: chance is **{result.chance:.2f}**."
    named = (
        f"Dictionary **{plain(result.dictionary_name)}**, layer {result.layer}, SHA-256 {plain(result.dictionary)}. "
    )
    st.markdown(
        f"{named}**{result.n}** texts in **{result.n_clusters}** groups, **{result.n_tokens:,}** tokens.{chance} {CAVEAT}"
    )
    controls_line(result.controls, "nats")


def _draw_losses(result: DictionaryEvaluation) -> go.Figure:
    known = [one for one in result.families if one.recovered is not None]
    return figures.interval_rows(
        [one.family for one in known], [("loss recovered", "diamond", [one.recovered for one in known])],
        unit="Share of the loss of mean ablation", lines=((0.0, "mean"), (1.0, "all")), is_effect=True,
    )  # fmt: skip


def _row(title: str, estimate: Estimate | None) -> tuple[object, ...]:
    if estimate is None:
        return (title, *(None,) * 5)
    return (title, *estimate_cells(estimate)[:4], estimate.unit)
