"""Inputs of the page Rationale: model, and questions with steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from audit_core import AuditError, Auditor, Prompt, PromptSet, get_plugin
from audit_core.audits import RationaleRequest
from audit_core.errors import PromptRefused
from audit_core.rationale_record import (
    RUN,
    RecordedKnown,
    RecordedRationale,
    load_known_models,
    load_questions,
    load_recorded_rationale,
)
from audit_core.subjects import find_planted
from ui.flow import services, subject_form
from ui.flow.recorded_first import RecordedFirst
from ui.parts.header import plain
from ui.shell import link

FIELDS = (link.Field("model", "default"),)
PER_TEMPLATE = 7
"""Questions per template of a planted model: 42 decide every verdict."""
LIVE = RecordedFirst("rationale")
_COLUMNS = "question, steps, answer, mistaken_steps, mistaken_answer"


@dataclass(frozen=True)
class Given:
    """The questions: a prompt set, or the bytes of a reader's own file."""

    name: str
    prompts: PromptSet | None
    raw: bytes = b""

    @property
    def is_shipped(self) -> bool:
        return self.prompts is not None and self.prompts.sha256 == load_questions().sha256


def ask_model() -> str:
    """Select the model; it is loaded when something is to be measured."""
    return subject_form.ask_model()


def ask_questions(model: str) -> Given:
    """Take the uploaded file; without one the shipped questions, or those of a planted chain model."""
    with st.popover("Your own questions", icon=":material/upload_file:"):
        st.markdown(f"A CSV file with the columns {plain(_COLUMNS)}. Steps are separated by | or by line breaks.")
        upload = st.file_uploader("CSV", type="csv", max_upload_size=4, key="rationale-file")
    if upload is not None:
        st.markdown(f"Questions: **{plain(upload.name)}**")
        return Given(upload.name, None, upload.getvalue())
    planted = find_planted(model)
    tasks = [] if planted is None else [task for task in planted.tasks if task.name == "chain"]
    prompts = tasks[0].make(PER_TEMPLATE, 0) if tasks else load_questions()
    st.markdown(f"Questions: **{len(prompts)}**, {'planted' if tasks else 'shipped with Assay, written by a program'}")
    return Given(prompts.name, prompts)


def load_known() -> RecordedKnown:
    """The metrics as measured on planted models.

    Raises:
        IntegrityError: the record is damaged.
    """
    return load_known_models()


def find_recorded(model: str, given: Given) -> RecordedRationale | None:
    """The recorded run, if it is of this model and these questions and the user did not ask to measure it again."""
    if not RUN.is_file():
        return None
    found = load_recorded_rationale()
    return found if given.is_shipped and found.is_about(model) and not LIVE.is_live else None


def make_request(auditor: Auditor, given: Given) -> RationaleRequest:
    """The request of these questions.

    Raises:
        AuditError: the model or the file cannot be used.
    """
    audit = get_plugin("audits", "rationale")
    audit.require(auditor.subject)
    try:
        if given.prompts is None:
            request: RationaleRequest = audit.ask_file(auditor.subject, given.raw, given.name, {})
        else:
            request = RationaleRequest(services.tokenised(auditor, given.prompts))
    except AuditError:
        LIVE.give_up()
        raise
    if not len(request.prompts):
        raise PromptRefused("No question.", wanted="at least one.", remedy="choose other questions.")
    return request


def list_prompts(given: Given) -> Mapping[str, Prompt]:
    """The questions by id."""
    return {} if given.prompts is None else {prompt.id: prompt for prompt in given.prompts.prompts}
