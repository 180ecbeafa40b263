"""The tab Steering: the recorded answer of the shipped concepts, or a measurement of them or of one's own file."""

from __future__ import annotations

import hashlib
from typing import Any

import streamlit as st

from audit_core import AuditError, Auditor, get_plugin
from audit_core.recorded import RecordedAnswer, load_recorded
from audit_core.steering import FILE, SteeringRequest, SteeringResult, read_shipped
from audit_core.subject_family import find_planted
from ui.flow import answers
from ui.flow.answers import show_refusal
from ui.parts.header import counted, plain, recorded_line
from ui.steering import show

_MOST_BYTES = 1 << 20


def show_steering(model: str, auditor: Auditor | None) -> None:
    """Show the recorded answer, or offer the measurement; the model need not be loaded for the first."""
    asked = _ask_file(model)
    if asked is None:
        return
    name, raw = asked
    recorded, measured = _find_recorded(model, raw), None
    if auditor is not None:
        try:
            audit: Any = get_plugin("audits", "steering")
            request: SteeringRequest = audit.ask_file(auditor.subject, raw, name, {})
        except AuditError as error:
            show_refusal(error)
            return
        weights = auditor.subject.identity.weights_sha256
        is_answer = recorded is not None and recorded.answers(request, weights)
        if recorded is not None and recorded.measured_with.identity["weights_sha256"] != weights:
            recorded = None
        if not is_answer:
            title = f"Steer {counted(len(request.task.concepts), 'concept')} on {len(request.prompts)} prompts"
            measured = answers.answer_by_job(auditor, "steering", title, request, at_once=False)
    if measured is not None:
        show.show_answer(measured, "causal")
        show.show_result(measured)
    elif recorded is not None:
        if recorded.result.file_sha256 != hashlib.sha256(raw).hexdigest():
            n = recorded.result.n + recorded.result.n_chosen_on
            st.info(
                f"Recorded with an earlier form of the file, of {plain(str(n))} prompts.", icon=":material/history:"
            )
        _show_recorded(recorded)
    elif auditor is None:
        st.info("Steering reads the model. It can start when the model is loaded.", icon=":material/hourglass_top:")


def _ask_file(model: str) -> tuple[str, bytes] | None:
    """The uploaded file, else the shipped one; None for a planted model, which has none of its words."""
    with st.popover("Your own concepts", icon=":material/upload_file:"):
        st.markdown(
            "A TOML file with *prompts* and a table *\\[concepts.NAME\\]* for each concept: *title*, *rule*, *words*, *at_least*, "
            "*instruction*, and texts *with* and *without* the concept. Start from data/steering/concepts.toml."
        )
        upload = st.file_uploader(
            "Concepts as TOML", type="toml", max_upload_size=_MOST_BYTES // 1024**2, key="steering-file"
        )
    if upload is not None:
        st.markdown(f"File: **{plain(upload.name)}**")
        return upload.name, upload.getvalue()
    if find_planted(model):
        st.info(
            "The shipped concepts are English and French words. Give a file in this model's words.",
            icon=":material/info:",
        )
        return None
    return FILE, read_shipped()


def _find_recorded(model: str, raw: bytes) -> RecordedAnswer[SteeringResult] | None:
    try:
        found = load_recorded("steering")
    except AuditError as error:
        show_refusal(error)
        return None
    mine, sha256 = [one for one in found if one.is_of(model)], hashlib.sha256(raw).hexdigest()
    if exact := [one for one in mine if one.result.file_sha256 == sha256]:
        return exact[0]
    # A record of an earlier form of the shipped file says its own number of prompts, and is shown until there is a newer one.
    return next((one for one in mine if raw == read_shipped() and one.result.file_name == FILE), None)


def _show_recorded(found: RecordedAnswer[SteeringResult]) -> None:
    show.show_answer(found.result, "causal recorded")
    with st.container(horizontal=True, vertical_alignment="center"):
        recorded_line(found.measured_with.recorded_at, found.wall_s)
    show.show_result(found.result)
