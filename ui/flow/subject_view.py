"""Common start of every audit page: model, prompts, and loading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import streamlit as st

from audit_core import AuditError, Auditor, Kind, PromptSet, Subject, TokenisedPrompts
from audit_core.prompts import PromptForm
from ui.flow import answers, model_question, own_prompts, services, subject_form
from ui.parts.header import plain
from ui.parts.refusal import show_refusal
from ui.parts.workbench import Frame, open_frame
from ui.shell import link

T = TypeVar("T")
LONGEST_LINE = 120
"""Characters of a prompt that fit on one line of the narrowest laptop screen."""


@dataclass(frozen=True)
class PageSubject:
    """Model and prompts of a page."""

    frame: Frame
    auditor: Auditor
    whole: TokenisedPrompts
    """The whole prompt set."""
    measured: PromptSet
    """The prompts that are measured."""
    prompt_id: str
    """Id of the prompt that is drawn."""


def open_page(
    title: str,
    words: str,
    fields: Sequence[link.Field],
    *,
    asks_scope: bool = True,
    while_loading: Callable[[Frame, str, PromptSet, str], bool] | None = None,
) -> PageSubject:
    """Draw the frame, ask for model and prompts; stops the page with a reason if it cannot continue.

    Args:
        asks_scope: whether the user chooses the measured prompts; else the page does, and the user chooses the drawn prompt.
        while_loading: draws what is recorded about model, prompts and prompt id before the model is loaded, and returns whether it did.
    """
    own_prompts.adopt_pending(subject_form.forget_prompt)
    model_question.adopt_pending()
    link.seed(fields)
    frame = open_frame(title, words)
    with frame.question:
        model = subject_form.ask_model()
    with frame.more:
        model_question.use_another()
    # Start loading before the rest is drawn, because it takes longest.
    with frame.answer:
        is_on_its_way = model_question.settle(model)
    prompts = ask_in(frame.question, subject_form.ask_prompts)
    if ask_in(frame.more, subject_form.ask_form):
        if not is_on_its_way:
            st.stop()
        with frame.answer:
            chat = answers.wait_for_model(model)
        written = prompts
        prompts = ask_in(frame.question, lambda: services.rendered(chat, written))
    ask_scope = subject_form.ask_scope if asks_scope else subject_form.ask_drawn
    measured, prompt_id = ask_in(frame.question, lambda: ask_scope(prompts))
    with frame.prompt:
        show_prompt(prompts, prompt_id)
        if st.session_state.set.startswith("own-"):
            own_prompts.show_splits(prompts)
    if while_loading is not None and services.POOL.auditor(model) is None:
        is_drawn = while_loading(frame, model, prompts, prompt_id)
        if is_drawn and is_on_its_way:
            # Below what is recorded, so that no map moves when live numbers replace it.
            with frame.progress:
                answers.wait_for_model(model)
            # Loaded while the record was drawn: the page is drawn again without it.
            st.rerun()
    if not is_on_its_way:
        st.stop()
    with frame.answer:
        auditor = answers.wait_for_model(model)
        own_prompts.offer_fitting(auditor, prompts)
    whole = ask_in(frame.answer, lambda: services.tokenised(auditor, prompts))
    with frame.prompt:
        own_prompts.show_metric(whole)
        own_prompts.show_notices(whole.notices)
    _show_identity(frame, auditor.subject)
    return PageSubject(frame, auditor, whole, measured, prompt_id)


def ask_in(place: Any, ask: Callable[[], T]) -> T:
    """Read inputs in a place of the page; on refusal, show it there and stop the page."""
    try:
        with place:
            return ask()
    except AuditError as error:
        show_refusal(error)
        st.stop()


def close_questions(frame: Frame, fields: Sequence[link.Field]) -> None:
    """Publish all inputs in the link."""
    link.publish({field.key: st.session_state[field.key] for field in fields})
    with frame.actions:
        link.show_link()


def show_prompt(prompts: PromptSet, prompt_id: str) -> None:
    """Show the clean and the corrupted prompt, a line each; a long one by its ends, because the answer follows its end."""
    prompt = next(p for p in prompts.prompts if p.id == prompt_id)
    sides = (("Clean", prompt.clean, prompt.answers), ("Corrupted", prompt.corrupted, prompt.foils))
    for title, text, expected in sides:
        wanted = " or ".join(repr(one) for one in expected[:5]) + (" …" if len(expected) > 5 else "")
        st.markdown(f"{plain(title)}: **{plain(_shorten(text))}** → expected {plain(wanted)}")
    if prompt.form is PromptForm.VERBATIM or max(len(prompt.clean), len(prompt.corrupted)) > LONGEST_LINE:
        with st.popover("Both prompts in full", icon=":material/notes:", type="tertiary"):
            for title, text, _ in sides:
                st.markdown(f"{plain(title)}, the whole input:")
                st.code(text, language=None, wrap_lines=True)


def _shorten(text: str) -> str:
    if len(text) <= LONGEST_LINE:
        return text
    return f"{text[: LONGEST_LINE // 3]} … {text[-LONGEST_LINE * 2 // 3 :]}"


def _show_identity(frame: Frame, subject: Subject) -> None:
    """Show the identity of the model by digest, and a warning if it is slow."""
    identity = subject.identity
    # Named where it is not the usual one, as it is in a result's identity.
    kept = [identity.model, identity.dtype, *([] if identity.is_on_cpu else [identity.device])]
    with frame.identity, st.popover(plain(" · ".join(kept)), icon=":material/memory:", type="tertiary"):
        for name, value in (
            ("weights", identity.weights_sha256), ("tokenizer", identity.tokenizer_sha256), ("precision", identity.dtype),
            ("device", f"{identity.device} {identity.device_name}".strip()), ("attention", identity.attention),
            ("quantised", identity.quantisation), ("licence", identity.licence),
        ):  # fmt: skip
            st.markdown(f"{name}: **{plain(value)}**")
    # An encoder–decoder is always run whole, and no audit of it needs gradients.
    if subject.fallback and not subject.components(Kind.SOURCE):
        frame.prompt.warning(
            f"This model supports only whole forward passes: {plain(subject.fallback)}. Interventions take longer. "
            "Gradient estimates are not available. Measured numbers are as exact as on any other model.",
            icon=":material/hourglass_top:",
        )
