"""Inputs of the experts page."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from audit_core import Kind, PromptSet, Subject, TokenisedPrompts, parse_components
from audit_core.audits import ExpertsRequest
from audit_core.prompts import choose_metric
from ui.flow import model_question
from ui.flow.choice import pick_one, pick_reference
from ui.parts.header import plain
from ui.shell import link

SCOPES = {"all": "At every position", "answer": "At the answer position only"}
MODEL, PROMPTS = "planted-mixture", "planted-lookup"
"""The mixture that a first visit opens."""
FIELDS = (
    link.Field("model", MODEL), link.Field("set", PROMPTS), link.Field("form", "written"), link.Field("scope", "exploratory"),
    link.Field("prompt", ""), link.Field("where", "all"), link.Field("expert", ""), link.Field("force", ""),
    link.Field("weigh", ""),
)  # fmt: skip


def first_visit() -> tuple[link.Field, ...]:
    """State of a page opened without a link; the page's own mixture is loaded without a question."""
    if "model" not in st.session_state and not st.query_params and not link.read_kept("model"):
        model_question.press(MODEL)
    return FIELDS


def ask_experts(whole: TokenisedPrompts, measured: PromptSet, prompt_id: str) -> ExpertsRequest:
    """Read the scope, once the model is loaded."""
    kept = {prompt.id for prompt in measured.prompts}
    split = replace(whole, pairs=tuple(pair for pair in whole.pairs if pair.prompt.id in kept))
    prompts = pick_one(whole, prompt_id) if st.session_state.scope == "one" else split
    link.repair("where", tuple(SCOPES))
    st.selectbox("Ablate", list(SCOPES), key="where", format_func=SCOPES.get)
    at_answer = st.session_state.where == "answer"
    written = st.text_input(
        "Force the route to", key="force", placeholder="L0.E5@-1 L0.E6@-1",
        help="As many experts of a layer as its router chooses. Empty: no route is forced.",
    )  # fmt: skip
    weighed = st.text_input(
        "Vary the weight of", key="weigh", placeholder="L0.E5",
        help="Experts, each alone: the weight that the router gave it, times 0, 0.5, 1, 1.5 and 2. Empty: none is varied.",
    )  # fmt: skip
    weigh = parse_components(weighed) if weighed.strip() else ()
    reference, force = pick_reference(prompts, whole), parse_components(written) if written.strip() else ()
    return ExpertsRequest(prompts, reference, at_answer, metric=choose_metric(prompts), force=force, weigh=weigh)


def has_experts(subject: Subject) -> bool:
    """Whether experts can be tested; else shows why not, and offers a mixture."""
    if subject.components(Kind.EXPERT):
        return True
    mixture = getattr(subject, "mixture", None)
    st.info(plain(mixture.why_not if mixture else "This model has no mixture layers."), icon=":material/info:")
    st.button("Open a mixture of experts", on_click=_open_mixture, type="primary", icon=":material/hub:")
    return False


def _open_mixture() -> None:
    model_question.press(MODEL)
    st.session_state.model, st.session_state.set, st.session_state.prompt = MODEL, PROMPTS, ""
