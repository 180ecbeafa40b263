"""Inputs of the page of explanations."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from audit_core import PromptSet, TokenisedPrompts
from audit_core.audits import ExplanationsRequest
from audit_core.explanations import UnitKind
from ui.flow.choice import pick_one, pick_reference
from ui.shell import link

UNITS = {"tokens": "Tokens", "words": "Words"}
WITHOUT = {"replaced": "Replaced, same length", "removed": "Removed"}
FIELDS = (
    link.Field("model", "default"), link.Field("set", "indirect_object"), link.Field("form", "written"),
    link.Field("scope", "one"), link.Field("prompt", ""), link.Field("units", "tokens"), link.Field("without", "replaced"),
)  # fmt: skip


def ask_trial(whole: TokenisedPrompts, measured: PromptSet, prompt_id: str) -> ExplanationsRequest:
    """Read the units and how the curves are shown, once the model is loaded."""
    kept = {prompt.id for prompt in measured.prompts}
    split = replace(whole, pairs=tuple(pair for pair in whole.pairs if pair.prompt.id in kept))
    prompts = pick_one(whole, prompt_id) if st.session_state.scope == "one" else split
    link.repair("units", tuple(UNITS))
    link.repair("without", tuple(WITHOUT))
    st.selectbox("Units", list(UNITS), key="units", format_func=UNITS.get)
    st.selectbox("Curves with units", list(WITHOUT), key="without", format_func=WITHOUT.get)
    return ExplanationsRequest(prompts, pick_reference(prompts, whole), UnitKind(st.session_state.units))
