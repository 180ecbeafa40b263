"""Inputs about a tabular model: an ONNX file, rows, and what their columns mean."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from audit_core import Auditor, get_plugin
from audit_core.request import Request
from audit_core.tabular import (
    FILE,
    MAX_BYTES,
    MODELS,
    OUTCOME,
    SPLIT,
    TITLES,
    TUMOURS,
    YES,
    Reading,
    RecordedTabular,
    TabularRequest,
    find_recorded,
    keep_onnx,
    read_table,
    read_tumours,
)
from ui.flow import model_question
from ui.flow.recorded_first import RecordedFirst
from ui.parts.header import plain
from ui.shell import link

FIELDS = (link.Field("table", TUMOURS),)
"""Not `model`: a model of tables is no choice of the pages about language models."""
LIVE = RecordedFirst("tabular", "table")
_KEPT, _MOST_BYTES = "tabular-kept", 8_000_000
_DEFAULTS = {"outcome": OUTCOME, "yes": YES, "split": SPLIT, "marks": "", "reading": Reading.PROBABILITY.value}


@dataclass(frozen=True)
class GivenRows:
    """The bytes of a file of rows, its name, and how it is read."""

    name: str
    raw: bytes
    answers: dict[str, str]

    @property
    def is_shipped(self) -> bool:
        return self.name == FILE and not self.answers


def ask_model() -> str:
    """Select the model; an uploaded one is chosen by its upload."""
    if kept := st.session_state.pop(_KEPT, ""):
        st.session_state.table = kept
        model_question.press(kept)
    typed = st.session_state.table
    options = MODELS if typed in MODELS else (*MODELS, typed)
    st.selectbox(
        "Tabular model", options, key="table", format_func=lambda name: TITLES.get(name, name[:17]),
        on_change=_note_choice, width=330, help="Upload another as an ONNX file with *Your own model and rows*.",
    )  # fmt: skip
    return str(st.session_state.table)


def _note_choice() -> None:
    """Choosing a shipped model confirms it."""
    if st.session_state.table in MODELS:
        model_question.press(st.session_state.table)


def ask_task() -> GivenRows:
    """Take the uploaded files, or the shipped rows without any.

    Raises:
        AuditError: a file or a column cannot be used.
    """
    state = st.session_state
    with st.popover("Your own model and rows", icon=":material/upload_file:"):
        st.markdown("A pickle is not opened: it can run code. Export the model as ONNX, for example with skl2onnx.")
        model = st.file_uploader("Model, as ONNX", max_upload_size=_MOST_BYTES // 1024, key="tabular-model")
        rows = st.file_uploader("Rows, as CSV", max_upload_size=MAX_BYTES // 1024, key="tabular-file")
        for key, value in _DEFAULTS.items():
            state.setdefault(f"tabular-{key}", value)
        st.markdown("A header, then numbers: the model's features in its order. Bring rows that it was not trained on.")
        st.text_input("Column with right answers, or empty", key="tabular-outcome", max_chars=60)
        st.text_input("Value of that column that means yes", key="tabular-yes", max_chars=60)
        st.text_input("Column that says fit or test, or empty", key="tabular-split", max_chars=60)
        st.text_area(
            "Marks, a line each", key="tabular-marks", max_chars=20_000, height=90,
            help="Such as `age, protected` or `income, may rise`. All other features may change.",
        )  # fmt: skip
        st.selectbox("Output", [one.value for one in Reading], key="tabular-reading", width=200)
    if model is not None:
        name = keep_onnx(model.getvalue())
        if state.get("tabular-adopted") != name:
            state["tabular-adopted"] = state[_KEPT] = name
            st.rerun()
    asked = {key: str(state[f"tabular-{key}"]) for key in _DEFAULTS}
    if rows is None:
        st.markdown(f"Rows: **{plain(FILE)}**, 569 tumours, shipped with Assay. Yes is *{plain(asked['yes'])}*.")
        return GivenRows(FILE, read_tumours(), {key: text for key, text in asked.items() if text != _DEFAULTS[key]})
    # Read once here, so that a bad file is refused before a model is loaded.
    task = read_table(rows.getvalue(), name=rows.name, **{**asked, "reading": Reading(asked["reading"])})  # type: ignore[arg-type]
    st.markdown(f"Rows: **{plain(rows.name)}**: {len(task.rows)} of {task.n_in_file} are measured")
    return GivenRows(rows.name, rows.getvalue(), asked)


def pick_recorded(given: GivenRows, model: str) -> RecordedTabular | None:
    """The recorded run, if the page asks its question and the user did not ask to measure it again."""
    return find_recorded(model) if given.is_shipped and not LIVE.is_live else None


def make_request(auditor: Auditor, given: GivenRows) -> Request:
    """The request about these rows.

    Raises:
        AuditError: the file or an answer cannot be used with this model.
    """
    request: TabularRequest = get_plugin("audits", "tabular").ask_file(
        auditor.subject, given.raw, given.name, given.answers
    )
    for notice in request.prompts.notices:
        st.markdown(plain(notice))
    return request


def name_run(request: Request) -> str:
    """Title of the run."""
    return f"Measure {len(request.prompts)} rows"
