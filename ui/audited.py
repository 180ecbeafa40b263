"""The beginning of every page that audits: which model, which prompts, and the model made ready."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import streamlit as st

from audit_core import AuditError, Auditor, PromptSet, TokenisedPrompts
from ui import link, live_ask, live_show, live_steps, model_question, own_prompts, services

T = TypeVar("T")


@dataclass(frozen=True)
class Audited:
    """What a page is about."""

    auditor: Auditor
    whole: TokenisedPrompts
    """The whole prompt set."""
    measured: PromptSet
    """The part of it that is measured."""
    prompt_id: str
    """The prompt that is drawn."""


def open_page(title: str, words: str, fields: Sequence[link.Field], *, asks_scope: bool = True) -> Audited:
    """Title, side bar and pair; ends the run of the page with a reason where it cannot go on.

    Args:
        asks_scope: whether a person chooses what is measured on; else the page decides, and a prompt is only drawn.
    """
    own_prompts.adopt_pending(live_ask.forget_prompt)
    link.seed(fields)
    st.title(title, anchor=False)
    st.markdown(words)
    with st.sidebar:
        st.header("What is audited", anchor=False)
        model = live_ask.ask_model()
    # Begun before the rest is drawn, as it takes longest.
    is_on_its_way = model_question.settle(model)
    prompts = ask_beside(live_ask.ask_prompts)
    if ask_beside(live_ask.ask_form):
        if not is_on_its_way:
            st.stop()
        chat = live_steps.wait_for_model(model)
        written = prompts
        prompts = ask_beside(lambda: services.rendered(chat, written))
    measured, prompt_id = ask_beside(lambda: live_ask.ask_scope(prompts) if asks_scope else live_ask.ask_drawn(prompts))
    live_show.show_prompt(prompts, prompt_id)
    if not is_on_its_way:
        st.stop()
    auditor = live_steps.wait_for_model(model)
    whole = ask_beside(lambda: services.tokenised(auditor, prompts))
    with st.sidebar:
        own_prompts.show_notices(whole.notices)
    return Audited(auditor, whole, measured, prompt_id)


def ask_beside(ask: Callable[[], T]) -> T:
    """What is asked for in the side bar, or the refusal on the page and the end of its run."""
    try:
        with st.sidebar:
            return ask()
    except AuditError as error:
        live_steps.show_refusal(error)
        st.stop()


def close_questions(fields: Sequence[link.Field]) -> None:
    """All is asked: put it into the link."""
    link.publish({field.key: st.session_state[field.key] for field in fields})
    link.show_link()
