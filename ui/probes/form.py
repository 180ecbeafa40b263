"""Inputs of the page Probes: model, labelled texts, and how many layers and texts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import streamlit as st

from audit_core import Auditor, get_plugin
from audit_core.errors import IntegrityError, Refused
from audit_core.probes import MAX_TEXTS, SHIPPED, ProbesRequest, ProbesResult, read_shipped
from audit_core.prompts import tokenise
from audit_core.recorded import RecordedAnswer, load_recorded
from audit_core.subject_family import find_planted
from ui.flow import model_question, subject_form
from ui.parts.header import plain, recorded_line
from ui.parts.refusal import show_refusal
from ui.parts.workbench import Frame
from ui.probes import show
from ui.shell import link

LAYERS, TEXTS = "8", "24"
"""What the shipped answer was asked with."""
FIELDS = (
    link.Field("model", "default"), link.Field("task", ""), link.Field("layers", LAYERS), link.Field("items", TEXTS),
)  # fmt: skip
_TITLES = {"number.csv": "singular or plural subject, 96 texts"}
_MOST_BYTES = 4 * 1024**2
_MADE = 6
"""Prompts per template of a planted model's task."""


@dataclass(frozen=True)
class Labelled:
    """A file of labelled texts, or a task of a planted model."""

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


def ask_labelled(model: str) -> Labelled:
    """Take the uploaded file, a task of the planted model, or a shipped file."""
    with st.popover("Your own file", icon=":material/upload_file:"):
        st.markdown(
            "A CSV file with the columns *text* and *label*. Exactly two labels. Write each text with both labels, in the same "
            "number of tokens."
        )
        st.markdown(
            "With the column *answer* the use of the label is measured too: what the text continues with. Optional: *foil* "
            "(another continuation) and *template*."
        )
        upload = st.file_uploader(
            "Labelled texts as CSV", type="csv", max_upload_size=_MOST_BYTES // 1024**2, key="probes-file"
        )
    if upload is not None:
        st.markdown(f"File: **{plain(upload.name)}**")
        return Labelled(upload.name, upload.getvalue())
    tasks = list_tasks(model)
    link.repair("task", tasks or SHIPPED)
    st.selectbox("Labelled texts", tasks or SHIPPED, key="task", format_func=lambda one: _TITLES.get(one, one))
    name = str(st.session_state.task)
    return Labelled(name, None if tasks else read_shipped(name))


def ask_numbers() -> tuple[int, int]:
    """Read how many layers are probed, and on how many texts edits are measured.

    Raises:
        Refused: not a number in its bounds.
    """
    found = []
    for key, label, most in (("layers", "Layers, at most", 200), ("items", "Edited texts, at most", MAX_TEXTS)):
        st.text_input(label, key=key, max_chars=4)
        text = str(st.session_state[key]).strip()
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise Refused(f"{label}: {text[:10]!r}.", wanted=f"1 to {most:,}.", remedy="change the number.")
        found.append(int(text))
    return found[0], found[1]


def find_recorded(model: str, labelled: Labelled, numbers: tuple[int, int]) -> RecordedAnswer[ProbesResult] | None:
    """The shipped answer about these texts; the model need not be loaded."""
    if labelled.raw is None or numbers != (int(LAYERS), int(TEXTS)):
        return None
    try:
        found = load_recorded("probes")
    except IntegrityError as error:
        show_refusal(error)
        return None
    sha256 = hashlib.sha256(labelled.raw).hexdigest()
    return next((one for one in found if one.is_of(model) and one.result.source.sha256 == sha256), None)


def make_request(auditor: Auditor, model: str, labelled: Labelled, numbers: tuple[int, int]) -> ProbesRequest:
    """The request of these inputs.

    Raises:
        AuditError: the residual stream of the model cannot be read, or the file cannot be used.
    """
    audit: Any = get_plugin("audits", "probes")
    audit.require(auditor.subject)
    layers, texts = numbers
    if labelled.raw is not None:
        asked: ProbesRequest = audit.ask_file(
            auditor.subject, labelled.raw, labelled.name, {"layers": str(layers), "texts": str(texts)}
        )
        return asked
    planted = find_planted(model)
    assert planted is not None
    made = planted.find_task(labelled.name).make(_MADE, 0)
    return ProbesRequest(tokenise(made, auditor.subject.tokenizer), layers, texts)


def show_result(frame: Frame, result: ProbesResult, badges: str = "observational causal") -> None:
    """Show the sentence and the two panes."""
    with frame.answer:
        show.show_answer(result, badges)
    with frame.panes:
        show.show_panes(result)


def show_recorded(frame: Frame, found: RecordedAnswer[ProbesResult]) -> None:
    """Show a shipped answer under the badge *recorded*."""
    show_result(frame, found.result, "observational causal recorded")
    with frame.below:
        recorded_line(found.measured_with.recorded_at, found.wall_s)


def list_tasks(model: str) -> tuple[str, ...]:
    """Tasks of a planted model with two answers, which are the labels."""
    planted = find_planted(model)
    if planted is None:
        return ()
    names = []
    for task in planted.tasks:
        prompts = task.make(1, 0).prompts
        if len({text for prompt in prompts for text in (prompt.answer, prompt.foil)}) == 2:
            names.append(task.name)
    return tuple(names)
