"""The tab Two versions: which features fire differently in another version of the model, recorded or measured by a job."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from audit_core import AuditError, Auditor, format_estimate, make_table
from audit_core.features import DictionaryEntry, FiringDifference, VersionsRequest
from audit_core.models import EDITED
from audit_core.subject_family import find_planted, list_planted
from audit_core.tables import estimate_cells
from ui.features import texts
from ui.features.recorded import find_recorded
from ui.flow import answers
from ui.flow.answers import show_refusal
from ui.parts import figures
from ui.parts.header import figure_header, plain, recorded_line, show_rows

AUDIT = "feature_versions"


def show_versions(model: str, entry: DictionaryEntry, auditor: Auditor | None) -> None:
    """Ask for the other version and for texts, and show what differs."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        other = _ask_other(model)
        upload = texts.ask_upload("versions")
    if not other:
        recorded = None if upload is not None else find_recorded(AUDIT, model, entry)
        if recorded is None:
            st.markdown("Name the other version: a model of this list, or a folder on the server.")
            return
        show_result(recorded.result, "recorded")
        recorded_line(recorded.measured_with.recorded_at, recorded.wall_s)
        return
    if auditor is None:
        st.info(
            "A comparison reads both models. It can start when the model is loaded.", icon=":material/hourglass_top:"
        )
        return
    try:
        read, _ = texts.read_texts(auditor, model, upload)
        request = VersionsRequest(read, other, entry.name)
        with st.spinner("Looking for the other version …"):
            request.find_other()
    except AuditError as error:
        show_refusal(error)
        return
    title = f"Compare two versions on {len(request.prompts)} texts"
    measured = answers.answer_by_job(auditor, AUDIT, title, request, at_once=False)
    if measured is not None:
        show_result(measured)


def _ask_other(model: str) -> str:
    """The other version; empty for what is recorded."""
    planted = find_planted(model)
    options = [EDITED.name] if planted is None else [one.name for one in list_planted() if one.name != model]
    if st.session_state.other and st.session_state.other not in options:
        options.append(st.session_state.other)
    st.selectbox(
        "Other version", ["", *options], key="other", accept_new_options=True, width=340,
        format_func=lambda one: one or "choose one, or type a folder",
        help="Another version of this model with the same tokenizer, on this machine. Nothing is fetched.",
    )  # fmt: skip
    return str(st.session_state.other or "").strip()


def show_result(result: FiringDifference, badge: str = "", place: str = "") -> None:
    """Show the sentence, how often the features fire in both versions, and the numbers."""
    st.markdown(f"**{plain(result.finding)}**")
    shown = [row for row in result.rows if row.differs] or list(result.rows)
    figure_header(
        "How often they fire", f"observational {badge}",
        f"filled: {plain(result.models[0])}. Open: {plain(result.models[1])}. The same texts are read by both. Bars are 95 % intervals "
        "over groups of texts.",
    )  # fmt: skip
    figures.show(
        _draw_rates(result), key=f"figure-versions{place}",
        alt="Share of tokens on which each feature fires, in both versions, with intervals. The table has the numbers.",
    )  # fmt: skip
    columns = (
        "feature",
        "differs",
        "share of tokens",
        "in the other version",
        "change",
        "low",
        "high",
        "n",
        "change of the mean value",
    )
    rows = [
        (
            one.component, one.differs, one.first.value, one.second.value, *estimate_cells(one.rate)[:4],
            format_estimate(one.value),
        )
        for one in shown
    ]  # fmt: skip
    show_rows(make_table(columns, rows), f"features-versions{place}")
    more = f" {result.more} more differ and are not listed." if result.more else ""
    st.markdown(
        f"Dictionary **{plain(result.dictionary_name)}**, layer {result.layer}, SHA-256 {plain(result.dictionary)}. "
        f"**{result.n}** texts in **{result.n_clusters}** groups. {result.n_silent} features fire in neither.{more} The dictionary "
        f"leaves {result.fvu[0]:.2f} and {result.fvu[1]:.2f} of the variance unexplained. The stream that it reads changed by "
        f"**{result.stream_change:.2g}** of its variance. Positive control: had one feature alone fallen silent, the test would have "
        f"found it for **{result.n_detectable}** of {result.n_features}."
    )


def _draw_rates(result: FiringDifference) -> go.Figure:
    shown = [row for row in result.rows if row.differs] or list(result.rows)
    return figures.interval_rows(
        [row.component for row in shown],
        [
            ("this version", "circle", [row.first for row in shown]),
            ("the other version", "circle-open", [row.second for row in shown]),
        ],
        unit="Share of tokens", lines=(), is_effect=False,
    )  # fmt: skip
