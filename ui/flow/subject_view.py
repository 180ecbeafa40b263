"""Common start of every audit page: model, prompts, and loading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import streamlit as st

from audit_core import AuditError, Auditor, PromptSet, Subject, TokenisedPrompts
from audit_core.prompts import PromptForm
from ui.flow import answers, model_question, own_prompts, services, subject_form
from ui.parts.header import plain
from ui.shell import link

T = TypeVar("T")


@dataclass(frozen=True)
class PageSubject:
    """Model and prompts of a page."""

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
    while_loading: Callable[[str, PromptSet], None] | None = None,
) -> PageSubject:
    """Show title, side bar and prompt pair; stops the page with a reason if it cannot continue.

    Args:
        asks_scope: whether the user chooses the measured prompts; else the page does, and the user chooses the drawn prompt.
        while_loading: draws what is known about model and prompts before the model is loaded.
    """
    own_prompts.adopt_pending(subject_form.forget_prompt)
    link.seed(fields)
    st.title(title, anchor=False)
    st.markdown(words)
    with st.sidebar:
        st.header("Subject", anchor=False)
        model = subject_form.ask_model()
    # Start loading before the rest is drawn, because it takes longest.
    is_on_its_way = model_question.settle(model)
    prompts = ask_beside(subject_form.ask_prompts)
    if ask_beside(subject_form.ask_form):
        if not is_on_its_way:
            st.stop()
        chat = answers.wait_for_model(model)
        written = prompts
        prompts = ask_beside(lambda: services.rendered(chat, written))
    measured, prompt_id = ask_beside(
        lambda: subject_form.ask_scope(prompts) if asks_scope else subject_form.ask_drawn(prompts)
    )
    show_prompt(prompts, prompt_id)
    progress = st.container()
    if while_loading is not None and services.POOL.auditor(model) is None:
        while_loading(model, prompts)
        if is_on_its_way:
            with progress:
                answers.wait_for_model(model)
            # Loaded while this was drawn: the page is drawn anew, without it.
            st.rerun()
    if not is_on_its_way:
        st.stop()
    auditor = answers.wait_for_model(model)
    whole = ask_beside(lambda: services.tokenised(auditor, prompts))
    with st.sidebar:
        own_prompts.show_notices(whole.notices)
    return PageSubject(auditor, whole, measured, prompt_id)


def ask_beside(ask: Callable[[], T]) -> T:
    """Read inputs in the side bar; on refusal, show it and stop the page."""

    def ask_there() -> T:
        with st.sidebar:
            return ask()

    return ask_or_stop(ask_there)


def ask_or_stop(ask: Callable[[], T]) -> T:
    """Read inputs; on refusal, show it and stop the page."""
    try:
        return ask()
    except AuditError as error:
        answers.show_refusal(error)
        st.stop()


def close_questions(fields: Sequence[link.Field]) -> None:
    """Publish all inputs in the link."""
    link.publish({field.key: st.session_state[field.key] for field in fields})
    link.show_link()


def show_prompt(prompts: PromptSet, prompt_id: str) -> None:
    """Show the clean and the corrupted prompt."""
    prompt = next(p for p in prompts.prompts if p.id == prompt_id)
    sides = (("Clean", prompt.clean, prompt.answers), ("Corrupted", prompt.corrupted, prompt.foils))
    with st.container(border=True):
        # Rendered templates have many lines, so show them side by side.
        places = st.columns(2) if prompt.form is PromptForm.VERBATIM else (st.container(), st.container())
        for place, (title, text, expected) in zip(places, sides):
            wanted = " or ".join(repr(one) for one in expected[:5]) + (" …" if len(expected) > 5 else "")
            if prompt.form is PromptForm.PLAIN:
                place.markdown(f"{plain(title)}: **{plain(text)}** → expected {plain(wanted)}")
            else:
                place.markdown(f"{plain(title)}, the whole input → expected {plain(wanted)}")
                place.code(text, language=None, wrap_lines=True)


def show_subject(subject: Subject) -> None:
    """Show the identity of the model by digest, and a warning if it is slow."""
    identity = subject.identity
    with st.container(horizontal=True, gap="small"):
        st.badge(plain(identity.model), icon=":material/memory:", color="blue")
        for name, value in (("weights", identity.weights_sha256[:12]), ("tokenizer", identity.tokenizer_sha256[:12])):
            st.badge(plain(f"{name} {value}"), color="gray")
        for value in (
            identity.dtype,
            f"{identity.attention} attention",
            f"quantised: {identity.quantisation}",
            identity.licence,
        ):
            st.badge(plain(value), color="gray")
    if subject.fallback:
        st.warning(
            f"This model supports only whole forward passes: {plain(subject.fallback)}. Interventions take longer. "
            "Gradient estimates are not available. Measured numbers are as exact as on any other model.",
            icon=":material/hourglass_top:",
        )
