"""Live audit: one prompt, one candidate circuit, attention beside causal effect."""

import streamlit as st

from ui.flow import answers, services, subject_form
from ui.flow import choice as choices
from ui.flow.history import show_history
from ui.flow.subject_view import ask_in, close_questions, open_page
from ui.live import answer, attention_tests, head_maps, interventions, recorded, show
from ui.parts import verdict_card
from ui.parts.workbench import lazy_tabs, split_panes

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
with left:
    title = f"Read attention on {choice.size}"
    attention = answers.answer_by_job(auditor, "attention", title, choice.ask_attention(), at_once=choice.is_one)
    if attention is not None:
        head_maps.show_attention(attention, choices.SOURCES[choice.source], picking)
with right:
    title = f"Ablate each head on {choice.size}"
    effects = answers.answer_by_job(auditor, "sweep", title, choice.ask_sweep(), at_once=choice.is_one)
    if effects is not None:
        head_maps.show_effect(effects, subject.geometry.n_layers, subject.geometry.n_heads, picking)
with frame.below:
    interventions.show_actions(choice, attention, effects)
with frame.tabs:
    names = ("Next token", "Before and after", "Tokens", "Attention pattern", "Attention vs. effect", "Verdict", "Attention tests", "History", "Not tested")  # fmt: skip
    tokens, numbers, edges, pattern, scatter, verdict, tests, history, limits = lazy_tabs(names, key="live-tabs")
if tokens.open:
    with tokens:
        show.show_next_tokens(ablation)
if numbers.open and ablation is not None:
    with numbers:
        show.show_ablation(ablation)
if edges.open:
    with edges:
        show.ask_tokens(auditor, choice)
if pattern.open:
    with pattern:
        show.ask_pattern(auditor, choice)
if scatter.open and attention is not None and effects is not None:
    with scatter:
        head_maps.show_scatter(
            attention, effects, picking.inside, choice.head, choice.prompts.templates, interventions.focus_head
        )
if verdict.open:
    with verdict:
        if not choice.can_be_judged:
            st.info(choices.WHEN_JUDGED, icon=":material/gavel:")
        else:
            title, claim_test = f"Judge it on {choice.size}, three ablations", choice.ask_verdict()
            judged = answers.answer_by_job(auditor, "claim_test", title, claim_test, at_once=False)
            if judged is not None:
                verdict_card.show_verdict(judged, claim_test.claim, services.read_multiplicity_ledger(auditor))
if tests.open:
    with tests:
        attention_tests.ask_tests(auditor, choice)
if history.open:
    with history:
        show_history(subject.identity.short)
if limits.open:
    with limits:
        show.show_limits(choice.limits)
