"""Inputs of the page Documents: model, questions, and how many of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from audit_core import Auditor, get_plugin
from audit_core.documents import MAX_DOCUMENTS, SHIPPED, DocumentsRequest, read_shipped
from audit_core.errors import Refused
from audit_core.prompts import tokenise
from audit_core.subject_family import find_planted
from ui.flow import answers, model_question, subject_form
from ui.parts.header import plain
from ui.shell import link

MODEL = "planted-reader-wrong-document"
"""The reader that a first visit opens: right every time, from the wrong document."""
FIELDS = (link.Field("model", MODEL), link.Field("task", ""), link.Field("items", "10"), link.Field("asked", ""))
_MOST_BYTES = 4 * 1024**2
_MOST_MADE = 50
"""Prompts per template of a planted reader's questions, at most."""


@dataclass(frozen=True)
class Questions:
    """A file of questions, or a task of a planted reader."""

    name: str
    raw: bytes | None
    """None for a task."""


def adopt() -> None:
    """Set the widgets from the link, and load the page's own model on a visit without one."""
    model_question.adopt_pending()
    if "model" not in st.session_state and not st.query_params and not link.read_kept("model"):
        model_question.press(MODEL)
    link.seed(FIELDS)


def ask_model() -> str:
    """Select the model."""
    return subject_form.ask_model()


def ask_questions(model: str) -> Questions:
    """Take the uploaded file, the planted reader's questions, or the shipped file."""
    with st.popover("Your own file", icon=":material/upload_file:"):
        st.markdown(
            "A CSV file with the columns *question*, *documents* and *answer*. Separate documents by ` | `. The question is "
            f"the beginning of a sentence. At most {MAX_DOCUMENTS} documents each."
        )
        st.markdown("Optional: *id*, *family*, *others* (other values) and *cited* (number of the cited document).")
        upload = st.file_uploader("CSV", type="csv", max_upload_size=_MOST_BYTES // 1024**2, key="documents-file")
    tasks = _list_tasks(model)
    link.repair("task", tasks or ("",))
    if upload is not None:
        found = Questions(upload.name, upload.getvalue())
    elif tasks:
        st.selectbox("Questions", tasks, key="task")
        return Questions(st.session_state.task, None)
    else:
        found = Questions(SHIPPED, read_shipped())
    st.markdown(f"File: **{plain(found.name)}**")
    return found


def ask_number() -> int:
    """Read how many questions are measured, at most.

    Raises:
        Refused: not a number.
    """
    st.text_input("Questions, at most", key="items", max_chars=3, help="1 to 500, spread over the file.")
    text = str(st.session_state["items"]).strip()
    if not text.isdecimal() or not 1 <= int(text) <= 500:
        raise Refused(f"{text[:10]!r} questions.", wanted="1 to 500.", remedy="change the number.")
    return int(text)


def wait_for_model(model: str) -> Auditor:
    """Load the model; stops the page until it is there."""
    if not model_question.settle(model):
        st.stop()
    return answers.wait_for_model(model)


def make_request(auditor: Auditor, model: str, questions: Questions, most: int) -> DocumentsRequest:
    """The request of these inputs.

    Raises:
        AuditError: the model is given no documents, or the file cannot be used.
    """
    audit: Any = get_plugin("audits", "documents")
    audit.require(auditor.subject)
    if questions.raw is not None:
        asked: DocumentsRequest = audit.ask_file(
            auditor.subject, questions.raw, questions.name, {"most_questions": str(most)}
        )
        return asked
    planted = find_planted(model)
    assert planted is not None
    task = planted.find_task(questions.name)
    n_templates = len({prompt.template for prompt in task.make(1, 0).prompts})
    made = tokenise(task.make(min(_MOST_MADE, -(-most // n_templates)), 0), auditor.subject.tokenizer)
    return DocumentsRequest(made.take(made.spread(most)))


def ask_shown(ids: tuple[str, ...]) -> str:
    """Select the question that the panes show."""
    link.repair("asked", ids)
    st.selectbox("Shown question", ids, key="asked")
    return str(st.session_state.asked)


def _list_tasks(model: str) -> tuple[str, ...]:
    planted = find_planted(model)
    return () if planted is None or not model.startswith("planted-reader") else tuple(t.name for t in planted.tasks)
