"""Inputs of the page Decisions: model, file of applicants, template, slots and answers."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from audit_core import Auditor, get_plugin
from audit_core.decisions import (
    FILE,
    MAX_BYTES,
    NO,
    OUTCOME,
    PLANTED,
    SLOTS,
    TEMPLATE,
    YES,
    RecordedDecisions,
    find_recorded,
    read_credit,
    read_task,
)
from audit_core.request import Request
from ui.flow import subject_form
from ui.flow.recorded_first import RecordedFirst
from ui.parts.header import plain
from ui.shell import link

FIELDS = (link.Field("model", PLANTED),)
LIVE = RecordedFirst("decisions")
_DEFAULTS = {"template": TEMPLATE, "slots": SLOTS, "yes": YES, "no": NO, "outcome": OUTCOME}


@dataclass(frozen=True)
class GivenTask:
    """The bytes of a file of applicants, its name, and how it is asked."""

    name: str
    raw: bytes
    answers: dict[str, str]

    @property
    def is_shipped(self) -> bool:
        return self.name == FILE and not self.answers


def ask_model() -> str:
    """Select the model; it is loaded when something is to be measured."""
    return subject_form.ask_model()


def ask_task() -> GivenTask:
    """Take the uploaded file with its template and slots, or the shipped one without a file.

    Raises:
        Refused: the file, the template or a slot cannot be used.
    """
    with st.popover("Your own file", icon=":material/upload_file:"):
        upload = st.file_uploader("Applicants, as CSV", max_upload_size=MAX_BYTES // 1024, key="decisions-file")
        state = st.session_state
        for key, value in _DEFAULTS.items():
            state.setdefault(f"decisions-{key}", value)
        st.text_area("Template: each slot once in braces", key="decisions-template", max_chars=2_000)
        st.text_area(
            "Slots, one a line", key="decisions-slots", max_chars=20_000, height=190,
            help="`<` orders levels, `|` does not. Then: may rise, may fall, may change, protected. Last, if you like, your "
            "words in a statement of reasons: reason: income insufficient for the amount requested",
        )  # fmt: skip
        st.text_input("Answer in favour", key="decisions-yes", max_chars=40)
        st.text_input("Answer against", key="decisions-no", max_chars=40)
        st.text_input("Column with right answers, or empty", key="decisions-outcome", max_chars=60)
    asked = {key: str(state[f"decisions-{key}"]) for key in _DEFAULTS}
    if upload is None:
        st.markdown(f"File: **{plain(FILE)}**, 300 generated applications, shipped with Assay")
        given = GivenTask(FILE, read_credit(), {key: text for key, text in asked.items() if text != _DEFAULTS[key]})
        read_task(given.raw, name=FILE, **asked)
        return given
    given = GivenTask(upload.name, upload.getvalue(), asked)
    # Read once here, so that a bad file is refused before a model is loaded.
    task = read_task(given.raw, name=given.name, **asked)
    st.markdown(f"File: **{plain(given.name)}**: {len(task.rows)} of {task.n_in_file} rows")
    return given


def pick_recorded(given: GivenTask, model: str) -> RecordedDecisions | None:
    """The recorded run, if the page asks its question and the user did not ask to measure it again."""
    return find_recorded(model) if given.is_shipped and not LIVE.is_live else None


def make_request(auditor: Auditor, given: GivenTask) -> Request:
    """The request about this file.

    Raises:
        AuditError: the file or an answer cannot be used with this model.
    """
    request: Request = get_plugin("audits", "decisions").ask_file(auditor.subject, given.raw, given.name, given.answers)
    return request


def name_run(request: Request) -> str:
    """Title of the run."""
    return f"Decide about {len(request.prompts)} applicants"
