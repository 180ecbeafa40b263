"""What the live audit shows while its model loads: the recorded answer to exactly this question, or nothing."""

from __future__ import annotations

import streamlit as st

from audit_core import PromptSet, TokenisedPrompts, parse_components
from audit_core.attention import Source
from audit_core.errors import ComponentRefused, IntegrityError
from audit_core.first_answer import FirstAnswer, load_first_answer
from ui.flow import choice
from ui.live import answer, head_maps, interventions
from ui.parts.header import BADGES, plain
from ui.parts.refusal import show_refusal
from ui.parts.workbench import Frame, split_panes

_AS_RECORDED = {"scope": "one", "form": "written", "ab": "resample", "dir": "noising", "src": "answer"}


def show_while_loading(frame: Frame, model: str, prompts: PromptSet, prompt_id: str) -> bool:
    """Draw sentence and maps of the record under the badge *recorded*, until live numbers replace them; False without one."""
    found = find_recorded(model, prompts, prompt_id)
    if found is None:
        return False
    prompt = next(one for one in prompts.prompts if one.id == prompt_id)
    with frame.answer:
        answer.show_answer(found.ablation, answer.Asked(prompt=prompt), "causal recorded")
    with frame.panes:
        left, right = split_panes()
    with left:
        show_recorded_attention(found)
    with right:
        show_recorded_effect(found)
    with frame.below:
        icon, colour = BADGES["recorded"]
        made = found.measured_with
        st.badge(plain(f"recorded {made.recorded_at[:10]}"), icon=icon, color=colour)
        st.markdown("Recorded numbers. The same question is measured live when the model is loaded.", width="content")
    return True


def show_recorded_attention(found: FirstAnswer) -> None:
    """Draw the attention map of the record under its badge."""
    head_maps.show_attention(found.attention, choice.SOURCES[Source.ANSWER], _pick(found))


def show_recorded_effect(found: FirstAnswer) -> None:
    """Draw the causal map of the record under its badge."""
    head_maps.show_effect(found.sweep, found.attention.n_layers, found.attention.n_heads, _pick(found))


def _pick(found: FirstAnswer) -> head_maps.Picking:
    inside = found.components
    return head_maps.Picking(
        parse_components(inside[0])[0], inside, interventions.toggle_head, interventions.keep_only, is_recorded=True
    )


def find_recorded(model: str, prompts: PromptSet | TokenisedPrompts, prompt_id: str) -> FirstAnswer | None:
    """The shipped record, if it is the answer to exactly the question that the page asks."""
    try:
        components = tuple(str(c) for c in parse_components(st.session_state.c))
    except ComponentRefused:
        # The page itself refuses them, with a remedy, once the model is loaded.
        return None
    try:
        found = load_first_answer()
    except IntegrityError as error:
        show_refusal(error)
        return None
    is_same = all(st.session_state.get(key, value) == value for key, value in _AS_RECORDED.items())
    return found if is_same and found.is_about(model, prompts, prompt_id, components) else None
