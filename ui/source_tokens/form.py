"""Inputs of the page of source tokens."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from audit_core import Kind, PromptSet, Subject, TokenisedPrompts
from audit_core.audits import BothSidesRequest, SourceTokensRequest
from audit_core.prompts import choose_metric
from audit_core.source_tokens import SourceToken
from ui.flow import model_question
from ui.flow.choice import pick_one, pick_reference
from ui.shell import link

TOKENS = {
    "consulted": "The most consulted one",
    "next": "The second most consulted one",
    "changed": "The one that differs between the pair",
}
SHOWN = {
    "zero": "Replaced by a neutral token",
    "mean": "Replaced by the mean over prompts",
    "hidden": "Hidden from cross-attention",
}
MODEL, PROMPTS = "planted-encoder-decoder", "planted-source-lookup"
"""The encoder–decoder that a first visit opens."""
FIELDS = (
    link.Field("model", MODEL), link.Field("set", PROMPTS), link.Field("form", "written"), link.Field("scope", "exploratory"),
    link.Field("prompt", ""), link.Field("token", "consulted"), link.Field("way", "zero"),
)  # fmt: skip


def first_visit() -> tuple[link.Field, ...]:
    """State of a page opened without a link; the page's own model is loaded without a question."""
    if "model" not in st.session_state and not st.query_params and not link.read_kept("model"):
        model_question.press(MODEL)
    return FIELDS


def ask_source(whole: TokenisedPrompts, measured: PromptSet, prompt_id: str) -> SourceTokensRequest:
    """Read the judged token and what the right figure shows, once the model is loaded."""
    kept = {prompt.id for prompt in measured.prompts}
    split = replace(whole, pairs=tuple(pair for pair in whole.pairs if pair.prompt.id in kept))
    prompts = pick_one(whole, prompt_id) if st.session_state.scope == "one" else split
    link.repair("token", tuple(TOKENS))
    link.repair("way", tuple(SHOWN))
    st.selectbox("Judged token", list(TOKENS), key="token", format_func=TOKENS.get)
    st.selectbox("Shown at the right", list(SHOWN), key="way", format_func=SHOWN.get)
    token = SourceToken(st.session_state.token)
    return SourceTokensRequest(prompts, pick_reference(prompts, whole), token, metric=choose_metric(prompts))


def ask_heads(asked: SourceTokensRequest) -> BothSidesRequest:
    """The same question of heads."""
    return BothSidesRequest(asked.prompts, asked.reference, asked.token, metric=asked.metric)


def has_source(subject: Subject) -> bool:
    """Whether the model has a source; else says so, and offers one that has."""
    if subject.components(Kind.SOURCE):
        return True
    st.info("This model is decoder-only: it has no source and no cross-attention.", icon=":material/info:")
    st.button("Open an encoder–decoder", on_click=_open, type="primary", icon=":material/swap_horiz:")
    return False


def _open() -> None:
    model_question.press(MODEL)
    st.session_state.model, st.session_state.set, st.session_state.prompt = MODEL, PROMPTS, ""
