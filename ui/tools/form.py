"""Inputs of the page Tools: model, and requests with the names and descriptions of the tools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from audit_core import Auditor, get_plugin
from audit_core.data_folder import DATA
from audit_core.errors import IntegrityError
from audit_core.prompts import tokenise
from audit_core.recorded import RecordedAnswer, load_recorded
from audit_core.subject_family import find_planted
from audit_core.tools import FORMS, Toolbox, ToolsRequest, ToolsResult
from ui.flow import model_question, subject_form
from ui.parts.header import plain, recorded_line
from ui.parts.refusal import show_refusal
from ui.parts.workbench import Frame
from ui.shell import link
from ui.tools import show

FIELDS = (link.Field("model", "default"),)
SHIPPED = "requests.csv"
PER_TOOL = 11
"""Requests for each tool of a planted model: 33 decide every verdict."""


@dataclass(frozen=True)
class Requests:
    """A file of requests with names and descriptions of the tools, or the task of a planted model."""

    name: str
    raw: bytes | None
    """None for a task."""
    answers: dict[str, str]
    is_shipped: bool = False


def adopt() -> None:
    """Set the widgets from the link."""
    model_question.adopt_pending()
    link.seed(FIELDS)


def ask_model() -> str:
    """Select the model."""
    return subject_form.ask_model()


def ask_requests(model: str) -> Requests:
    """Take the uploaded file, the planted model's requests, or the shipped file."""
    own = Toolbox()
    with st.popover("Your own requests", icon=":material/upload_file:"):
        st.markdown("A CSV file with the column *request*. The program fills the arguments, so it must know the form:")
        for form in FORMS:
            st.markdown(f"- {plain(form)}")
        upload = st.file_uploader("CSV", type="csv", max_upload_size=4, key="tools-file")
        names = st.text_input(
            "Names of calculator, converter and lookup", " | ".join(own.names), key="tools-names", max_chars=80
        )
        words = st.text_input(
            "Their descriptions", " | ".join(own.descriptions), key="tools-descriptions", max_chars=620,
            help="In the same order, apart by |.",
        )  # fmt: skip
    changed = (
        {}
        if (names, words) == (" | ".join(own.names), " | ".join(own.descriptions))
        else {"names": names, "descriptions": words}
    )
    if upload is not None:
        st.markdown(f"Requests: **{plain(upload.name)}**")
        return Requests(upload.name, upload.getvalue(), changed)
    if _has_task(model) and not changed:
        st.markdown("Requests: **those of the planted model**")
        return Requests("tools", None, {})
    st.markdown("Requests: **60 of 72, shipped with Assay**")
    return Requests(SHIPPED, (DATA / "tools" / SHIPPED).read_bytes(), changed, is_shipped=not changed)


def name_file(requests: Requests) -> str:
    """The file as a command names it: the shipped one where requests are a planted model's."""
    return requests.name if requests.raw is not None and requests.name != SHIPPED else f"data/tools/{SHIPPED}"


def find_recorded(model: str, requests: Requests) -> RecordedAnswer[ToolsResult] | None:
    """The shipped answer about these requests; the model need not be loaded."""
    try:
        found = load_recorded("tools")
    except IntegrityError as error:
        show_refusal(error)
        return None
    return next((one for one in found if requests.is_shipped and one.is_of(model)), None)


def make_request(auditor: Auditor, model: str, requests: Requests) -> ToolsRequest:
    """The request of these inputs.

    Raises:
        AuditError: the model cannot be asked, or the file or a name cannot be used.
    """
    audit: Any = get_plugin("audits", "tools")
    audit.require(auditor.subject)
    if requests.raw is not None:
        asked: ToolsRequest = audit.ask_file(auditor.subject, requests.raw, requests.name, requests.answers)
        return asked
    planted = find_planted(model)
    assert planted is not None
    return ToolsRequest(tokenise(planted.find_task("tools").make(PER_TOOL, 0), auditor.subject.tokenizer))


def show_result(frame: Frame, result: ToolsResult, badges: str = "causal") -> None:
    """Show the verdicts, and the two panes."""
    with frame.answer:
        show.show_answer(result, badges)
    with frame.panes:
        show.show_panes(result)


def show_recorded(frame: Frame, found: RecordedAnswer[ToolsResult]) -> None:
    """Show a shipped answer under the badge *recorded*."""
    show_result(frame, found.result, "causal recorded")
    with frame.below:
        recorded_line(found.measured_with.recorded_at, found.wall_s)


def _has_task(model: str) -> bool:
    planted = find_planted(model)
    return planted is not None and any(task.name == "tools" for task in planted.tasks)
