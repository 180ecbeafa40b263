"""Inputs of the page of explanations."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from audit_core import PromptSet, TokenisedPrompts
from audit_core.audits import ExplanationsRequest, ExplanationsResult
from audit_core.errors import IntegrityError
from audit_core.explanations import UnitKind
from audit_core.recorded import RecordedAnswer, load_recorded
from ui.explanations import show
from ui.flow.choice import pick_one, pick_reference
from ui.parts.header import recorded_line
from ui.parts.refusal import show_refusal
from ui.parts.workbench import Frame
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


def find_recorded(
    model: str, prompts: PromptSet | TokenisedPrompts, prompt_id: str
) -> RecordedAnswer[ExplanationsResult] | None:
    """The shipped answer about this prompt; the model need not be loaded."""
    asked = (st.session_state.form, st.session_state.scope, st.session_state.units)
    if asked != ("written", "one", "tokens"):
        return None
    try:
        found = load_recorded("explanations")
    except IntegrityError as error:
        show_refusal(error)
        return None
    about = (prompts.sha256, (prompt_id,))
    return next((one for one in found if one.is_of(model) and (one.prompts_sha256, one.prompt_ids) == about), None)


def show_while_loading(frame: Frame, model: str, prompts: PromptSet, prompt_id: str) -> bool:
    """Draw the record until the model is loaded; False without one."""
    found = find_recorded(model, prompts, prompt_id)
    if found is None:
        return False
    show_recorded(frame, found)
    return True


def show_result(frame: Frame, result: ExplanationsResult, badges: str = "causal") -> None:
    """Show the finding with its grades, and the two panes."""
    with frame.answer:
        show.show_answer(result, badges)
    with frame.panes:
        show.show_panes(result)


def show_recorded(frame: Frame, found: RecordedAnswer[ExplanationsResult]) -> None:
    """Show a shipped answer under the badge *recorded*."""
    show_result(frame, found.result, "causal recorded")
    with frame.below:
        recorded_line(found.measured_with.recorded_at, found.wall_s)
