"""Inputs of the page Features: model, labelled texts or prompts, and the named features."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, NoReturn

import streamlit as st

from audit_core import Auditor, get_plugin, load_prompt_set
from audit_core.errors import IntegrityError
from audit_core.features import DictionaryEntry, FeaturesRequest, FeaturesResult, list_of_model
from audit_core.probes import SHIPPED, read_shipped
from audit_core.prompts import take_split, tokenise
from audit_core.recorded import RecordedAnswer, load_recorded
from audit_core.subject_family import find_planted
from ui.features import own, show
from ui.flow import answers, model_question, subject_form
from ui.flow.subject_view import close_questions
from ui.parts.header import plain, recorded_line
from ui.parts.workbench import Frame
from ui.shell import link

FIELDS = (
    link.Field("model", "default"), link.Field("texts", SHIPPED[0]), link.Field("named", ""), link.Field("by", "fires on"),
    link.Field("words", ""), link.Field("dictionary", ""), link.Field("other", ""),
)  # fmt: skip
_TITLES = {SHIPPED[0]: "singular or plural subject, 96 texts"}
_SETS = ("indirect_object", "subject_verb_agreement", "gender_pronoun", "greater_than", "induction", "factual_recall")
_MOST_BYTES = 4 * 1024**2
_MADE = 12
"""Prompts per template of a planted model's task."""
_PLANTED_FEATURES = "L1.F0 L1.F1"


@dataclass(frozen=True)
class Asked:
    """A file of labelled texts, or the name of a prompt set or of a planted task."""

    name: str
    raw: bytes | None


def adopt() -> None:
    """Set the widgets from the link."""
    model_question.adopt_pending()
    link.seed(FIELDS)
    if (made := st.session_state.pop(own.MADE, None)) is not None:
        st.session_state.dictionary = made


def ask_model() -> str:
    """Select the model."""
    return subject_form.ask_model()


def ask_dictionary(model: str) -> DictionaryEntry | None:
    """Select a dictionary of the model; None, with what to do, where it has none."""
    found = {one.name: one for one in list_of_model(model)}
    if not found:
        st.warning(
            "This model has no dictionary yet. Train or import one below, or choose the default model or **planted-strict**.",
            icon=":material/info:",
        )
        return None
    link.repair("dictionary", tuple(found))
    st.selectbox(
        "Dictionary", list(found), key="dictionary", format_func=lambda one: found[one].title if one in found else one,
        help="The shipped one, your own, or directions that no training made. Add one in the tab *Dictionary*.",
    )  # fmt: skip
    return found[str(st.session_state.dictionary)]


def add_first(frame: Frame, model: str, is_on_its_way: bool) -> NoReturn:
    """Offer to add the first dictionary of a model, and stop the page."""
    close_questions(frame, FIELDS)
    if is_on_its_way:
        with frame.answer:
            auditor = answers.wait_for_model(model)
        with frame.tabs:
            own.show_adding(model, auditor, None)
    st.stop()


def ask_texts(entry: DictionaryEntry) -> Asked:
    """Take the uploaded file, a shipped file or prompt set, or a task of the planted model."""
    with st.popover("Your own file", icon=":material/upload_file:"):
        st.markdown(
            "A CSV file with the columns *text* and *label*, with exactly two labels. Write each text with both labels, in "
            "the same number of tokens. With *answer* the effect is measured too. Optional: *foil* and *template*."
        )
        upload = st.file_uploader(
            "Labelled texts as CSV", type="csv", max_upload_size=_MOST_BYTES // 1024**2, key="features-file"
        )
    if upload is not None:
        st.markdown(f"File: **{plain(upload.name)}**")
        return Asked(upload.name, upload.getvalue())
    options = ("vote",) if find_planted(entry.model) else (*SHIPPED, *_SETS)
    link.repair("texts", options)
    st.selectbox("Measured on", options, key="texts", format_func=lambda one: _TITLES.get(one, one.replace("_", " ")))
    name = str(st.session_state.texts)
    return Asked(name, read_shipped(name) if name in SHIPPED else None)


def ask_named() -> str:
    """Read which features are measured; empty for a choice by the audit."""
    st.text_input(
        "Features", key="named", max_chars=120, placeholder="chosen on half of the templates",
        help="Addresses, such as L12.F431. Without any, two are chosen on half of the templates and measured on the rest.",
    )  # fmt: skip
    return str(st.session_state.named).strip()


def find_recorded(
    model: str, entry: DictionaryEntry, asked: Asked, named: str
) -> RecordedAnswer[FeaturesResult] | None:
    """The shipped answer about these texts; the model need not be loaded."""
    if asked.raw is None or named:
        return None
    try:
        found = load_recorded("features")
    except IntegrityError as error:
        answers.show_refusal(error)
        return None
    sha256 = hashlib.sha256(asked.raw).hexdigest()
    return next(
        (
            one
            for one in found
            if one.is_of(model) and one.result.file_sha256 == sha256 and one.result.dictionary_sha256 == entry.sha256
        ),
        None,
    )


def make_request(auditor: Auditor, entry: DictionaryEntry, asked: Asked, named: str) -> FeaturesRequest:
    """The request of these inputs; prompt sets by their exploratory split, which no claim is judged on.

    Raises:
        AuditError: the residual stream of the model cannot be read, or the texts cannot be used.
    """
    audit: Any = get_plugin("audits", "features")
    audit.require(auditor.subject)
    if asked.raw is not None:
        made: FeaturesRequest = audit.ask_file(
            auditor.subject, asked.raw, asked.name, {"dictionary": entry.name, "features": named}
        )
        return made
    planted = find_planted(entry.model)
    if planted is not None:
        votes = tokenise(planted.find_task(asked.name).make(_MADE, 0), auditor.subject.tokenizer)
        first = _PLANTED_FEATURES if entry.is_shipped else ""
        return FeaturesRequest(votes, entry.name, named or first, described="A")
    explored = take_split(load_prompt_set(asked.name), exploratory=True)
    return FeaturesRequest(tokenise(explored, auditor.subject.tokenizer), entry.name, named)


def show_result(frame: Frame, result: FeaturesResult, badges: str = "observational causal") -> None:
    """Show the sentence and the two panes."""
    with frame.answer:
        show.show_answer(result, badges)
    with frame.panes:
        show.show_panes(result)


def show_recorded(frame: Frame, found: RecordedAnswer[FeaturesResult]) -> None:
    """Show a shipped answer under the badge *recorded*."""
    show_result(frame, found.result, "observational causal recorded")
    with frame.below:
        recorded_line(found.measured_with.recorded_at, found.wall_s)
