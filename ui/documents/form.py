"""Inputs of the page Documents: model, questions, and how many of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import streamlit as st

from audit_core import Auditor, get_plugin
from audit_core.documents import (
    BY_SENTENCE,
    MAX_DOCUMENTS,
    SHIPPED,
    DocumentsRequest,
    DocumentsResult,
    QuestionRow,
    read_passages,
    read_shipped,
    retrieve,
)
from audit_core.errors import IntegrityError, Refused
from audit_core.prompts import tokenise
from audit_core.recorded import RecordedAnswer, load_recorded
from audit_core.registry import list_plugins
from audit_core.subject_family import find_planted
from ui.documents import show
from ui.flow import answers, model_question, subject_form
from ui.parts.header import plain, recorded_line
from ui.parts.refusal import show_refusal
from ui.parts.workbench import Frame
from ui.shell import link

FIELDS = (link.Field("model", "default"), link.Field("task", ""), link.Field("items", "500"), link.Field("asked", ""))
_MOST_BYTES = 4 * 1024**2
_TITLES = {
    "questions.csv": "124 questions, three documents each",
    "retrieved-bm25.csv": "124 questions, documents retrieved by BM25, with the next hit",
    "retrieved-next.csv": "12 of them, three also by sentence",
}
_QUICK, _QUICK_S = (12, 8, 5, 3, 2, 1), 60.0
"""Numbers of questions of a first look, of which the largest that takes at most this many seconds is offered."""
_MOST_MADE = 50
"""Prompts per template of a planted reader's questions, at most."""


@dataclass(frozen=True)
class Questions:
    """A file of questions, or a task of a planted reader."""

    name: str
    raw: bytes | None
    """None for a task."""


def adopt() -> None:
    """Set the widgets from the link."""
    model_question.adopt_pending()
    link.seed(FIELDS)


def ask_model() -> str:
    """Select the model."""
    return subject_form.ask_model()


def ask_questions(model: str) -> Questions:
    """Take the uploaded file, the planted reader's questions, or a shipped file.

    Raises:
        Refused: the uploaded questions or passages cannot be used.
    """
    with st.popover("Your own file", icon=":material/upload_file:"):
        own = _ask_own()
    if own is not None:
        st.markdown(f"File: **{plain(own.name)}**")
        return own
    tasks = _list_tasks(model)
    link.repair("task", tasks or SHIPPED)
    st.selectbox("Questions", tasks or SHIPPED, key="task", format_func=lambda one: _TITLES.get(one, one))
    name = str(st.session_state.task)
    return Questions(name, None if tasks else read_shipped(name))


def _ask_own() -> Questions | None:
    """The uploaded questions, with documents of their own or of a retriever."""
    st.markdown(
        "A CSV file with the columns *question*, *documents* and *answer*. Separate documents by ` | `. The question is "
        f"the beginning of a sentence. At most {MAX_DOCUMENTS} documents each."
    )
    st.markdown(
        "Optional: *id*, *family*, *others* (other values), *cited* (number of the cited document) and *scores*."
    )
    most = _MOST_BYTES // 1024**2
    upload = st.file_uploader("Questions as CSV", type="csv", max_upload_size=most, key="documents-file")
    st.markdown("Without the column *documents*: add passages, and a retriever finds three for each question.")
    passages = st.file_uploader(
        "Passages: text, a paragraph each, or CSV with a column *passage*", type=["txt", "md", "csv"],
        accept_multiple_files=True, max_upload_size=most, key="documents-passages",
    )  # fmt: skip
    retrievers = list_plugins("retrievers")
    chosen = st.selectbox(
        "Retriever", retrievers, key="documents-retriever", format_func=lambda one: retrievers[one].label
    )
    if upload is None:
        return None
    if not passages:
        return Questions(upload.name, upload.getvalue())
    texts = read_passages([(one.name, one.getvalue()) for one in passages])
    found = retrieve(upload.getvalue(), upload.name, texts, retrievers[chosen])
    st.download_button(
        "Retrieved documents as CSV",
        found.raw,
        "retrieved.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
    )
    return Questions(f"{upload.name} with {found.retriever}", found.raw)


def name_file(questions: Questions) -> str:
    """The file as a command names it: a shipped one where questions are a planted reader's."""
    is_own = questions.raw is not None and questions.name not in SHIPPED
    return questions.name if is_own else f"data/documents/{questions.name if questions.raw else SHIPPED[0]}"


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


def find_recorded(model: str, questions: Questions, most: int) -> RecordedAnswer[DocumentsResult] | None:
    """The shipped answer about these questions; the model need not be loaded."""
    try:
        found = load_recorded("documents")
    except IntegrityError as error:
        show_refusal(error)
        return None
    sha256 = None if questions.raw is None else hashlib.sha256(questions.raw).hexdigest()
    fits = (one for one in found if one.is_of(model) and one.result.source.sha256 == sha256 and most >= one.result.n)
    return next(fits, None)


def make_request(auditor: Auditor, model: str, questions: Questions, most: int) -> DocumentsRequest:
    """The request of these inputs.

    Raises:
        AuditError: the model is given no documents, or the file cannot be used.
    """
    audit: Any = get_plugin("audits", "documents")
    audit.require(auditor.subject)
    if questions.raw is not None:
        asked: DocumentsRequest = audit.ask_file(
            auditor.subject,
            questions.raw,
            questions.name,
            {"most_questions": str(most), "by_sentence": str(BY_SENTENCE.get(questions.name, 0))},
        )
        return asked
    planted = find_planted(model)
    assert planted is not None
    task = planted.find_task(questions.name)
    n_templates = len({prompt.template for prompt in task.make(1, 0).prompts})
    made = tokenise(task.make(min(_MOST_MADE, -(-most // n_templates)), 0), auditor.subject.tokenizer)
    return DocumentsRequest(made.take(made.spread(most)))


def offer_quick(auditor: Auditor, model: str, questions: Questions, request: DocumentsRequest) -> None:
    """Offer a first look at as many questions as fit a minute, where all take longer."""
    if answers.predict(auditor, "documents", request) <= _QUICK_S:
        return
    for n in _QUICK:
        if n >= len(request.prompts):
            continue
        few = make_request(auditor, model, questions, n)
        if answers.predict(auditor, "documents", few) <= _QUICK_S:
            what = "one question" if n == 1 else f"{n} questions"
            title = f"First look at {what}, exploratory"
            label = answers.promise(auditor, "documents", title, few)
            st.button(plain(label), key="quick", icon=":material/bolt:", on_click=_look, args=(auditor, title, few, n))
            return


def _look(auditor: Auditor, title: str, few: DocumentsRequest, n: int) -> None:
    st.session_state["items"] = str(n)
    answers.start(auditor, "documents", title, few)


def note_share(frame: Frame, result: DocumentsResult, most: int) -> None:
    """Say that a result of few questions is a first look, and offer all of them again."""
    if result.n > max(_QUICK) or most > max(_QUICK):
        return
    with frame.below:
        st.badge(f"exploratory: n = {result.n}", icon=":material/explore:", color="orange")
        st.markdown("A first look at few questions, spread over the file. It decides nothing.", width="content")
        st.button("All questions", key="all-questions", icon=":material/undo:", on_click=_take_all)


def _take_all() -> None:
    st.session_state["items"] = "500"


def show_result(frame: Frame, result: DocumentsResult, badges: str = "observational causal") -> None:
    """Show the counts over all questions, and the two panes of the selected one."""
    labels = {one.id: one.label for one in result.questions}
    with frame.own:
        link.repair("asked", tuple(labels))
        st.selectbox("Shown question", labels, key="asked", format_func=lambda one: f"{one}: {labels[one]}")
    row = find_shown(result)
    with frame.answer:
        show.show_answer(result, row, badges)
    with frame.panes:
        show.show_panes(row)


def show_recorded(frame: Frame, found: RecordedAnswer[DocumentsResult]) -> None:
    """Show a shipped answer under the badge *recorded*."""
    show_result(frame, found.result, "observational causal recorded")
    with frame.below:
        recorded_line(found.measured_with.recorded_at, found.wall_s)


def find_shown(result: DocumentsResult) -> QuestionRow:
    """The selected question."""
    return next(one for one in result.questions if one.id == st.session_state.asked)


def _list_tasks(model: str) -> tuple[str, ...]:
    planted = find_planted(model)
    return () if planted is None or not model.startswith("planted-reader") else tuple(t.name for t in planted.tasks)
