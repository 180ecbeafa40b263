"""Live audit: one prompt, one candidate circuit, attention beside causal effect."""

import streamlit as st

from ui.flow import answers, subject_form
from ui.flow import choice as choices
from ui.flow.history import show_history
from ui.flow.subject_view import ask_in, close_questions, open_page
from ui.live import answer, attention_tests, head_maps, interventions, recorded, show, verdict
from ui.parts.tabs import lazy_tabs
from ui.parts.workbench import split_panes

# 1. ask

audited = open_page(
    "Live audit",
    "Attention does not show causal effect. Ablate components of a running model and compare both, side by side.",
    choices.first_visit(),
    while_loading=recorded.show_while_loading,
)
frame, auditor, subject, prompt_id = audited.frame, audited.auditor, audited.auditor.subject, audited.prompt_id
choice = ask_in(
    frame.own, lambda: subject_form.ask_rest(subject, audited.whole, audited.measured, prompt_id, frame.more)
)
close_questions(frame, choices.FIELDS)
interventions.remember(choice.components)

# 2. compute, and 3. show: the answer and both maps, then the tab that is open

ablation = None
with frame.answer:
    if not choice.is_one:
        asked = {"Ablate this circuit": ("ablation", choice.ask_ablation())} if choice.components else {}
        asked |= {
            "Read attention": ("attention", choice.ask_attention()),
            "Ablate each head": ("sweep", choice.ask_sweep()),
        }
        answers.start_all(auditor, asked, f"Measure everything on {choice.size}")
    if not choice.components:
        st.info("No circuit is chosen. Click a head on a map, or choose one above.")
    else:
        title = f"Ablate this circuit on {choice.size}"
        ablation = answers.answer(auditor, "ablation", title, choice.ask_ablation(), at_once=choice.is_one)
    if ablation is not None:
        answer.show_answer(ablation, answer.Asked.of(choice))
picking = head_maps.Picking(
    choice.head, tuple(str(c) for c in choice.components), interventions.toggle_head, interventions.keep_only
)
with frame.panes:
    left, right = split_panes()
# The record of the first question stays until its live maps, and progress is shown below: no map goes away or moves.
record = recorded.find_recorded(st.session_state.model, audited.whole, prompt_id) if choice.is_one else None
with left if record is None else frame.progress:
    title = f"Read attention on {choice.size}"
    attention = answers.answer_by_job(auditor, "attention", title, choice.ask_attention(), at_once=choice.is_one)
with left:
    if attention is not None:
        head_maps.show_attention(attention, choices.SOURCES[choice.source], picking)
    elif record is not None:
        recorded.show_recorded_attention(record)
with right if record is None else frame.progress:
    title = f"Ablate each head on {choice.size}"
    effects = answers.answer_by_job(auditor, "sweep", title, choice.ask_sweep(), at_once=choice.is_one)
with right:
    if effects is not None:
        head_maps.show_effect(effects, subject.geometry.n_layers, subject.geometry.n_heads, picking)
    elif record is not None:
        recorded.show_recorded_effect(record)
with frame.below:
    interventions.show_actions(choice, attention, effects)


def show_scatter() -> None:
    """Attention against effect, once both are measured."""
    if attention is not None and effects is not None:
        templates = choice.prompts.templates
        head_maps.show_scatter(attention, effects, picking.inside, choice.head, templates, interventions.focus_head)


with frame.tabs:
    lazy_tabs(
        {
            "Next token": lambda: show.show_next_tokens(ablation),
            "Before and after": lambda: show.show_ablation(ablation),
            "Tokens": lambda: show.ask_tokens(auditor, choice),
            "Attention pattern": lambda: show.ask_pattern(auditor, choice),
            "Attention vs. effect": show_scatter,
            "Verdict": lambda: verdict.ask_verdict(auditor, choice),
            "Attention tests": lambda: attention_tests.ask_tests(auditor, choice),
            "History": lambda: show_history(subject.identity.short),
            "Not tested": lambda: show.show_limits(choice.limits),
        },
        key="live-tabs",
    )
