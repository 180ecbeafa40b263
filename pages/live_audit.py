"""Live audit: one prompt, one candidate circuit, attention beside causal effect."""

import streamlit as st

from ui.flow import answers, services, subject_form
from ui.flow import choice as choices
from ui.flow.history import show_history
from ui.flow.subject_view import ask_beside, close_questions, open_page, show_subject
from ui.live import attention_tests, head_maps, interventions, show
from ui.parts import verdict_card
from ui.parts.header import plain

# 1. ask

audited = open_page(
    "Live audit",
    "Attention does not show causal effect. Ablate components of a running model and compare both, side by side.",
    choices.first_visit(),
)
auditor, subject, prompt_id = audited.auditor, audited.auditor.subject, audited.prompt_id
choice = ask_beside(lambda: subject_form.ask_rest(subject, audited.whole, audited.measured, prompt_id))
close_questions(choices.FIELDS)

# 2. compute, and 3. show, figure by figure, fastest first

show_subject(subject)
# Containers in a fixed order: a figure that arrives late must not move, and so collapse, the ones below it.
example, circuit, maps, scatter, own_tests, details, tokens, below = (st.container() for _ in range(8))
inside = tuple(str(c) for c in choice.components)
ablation = None
with circuit:
    st.header("The circuit", anchor=False)
    if not choice.components:
        st.info(
            "No circuit is chosen. Pick a head on a map, choose a candidate, or type a component name in the side bar."
        )
    else:
        title = f"Ablate this circuit on {choice.size}"
        ablation = answers.answer(auditor, "ablation", title, choice.ask_ablation(), at_once=choice.is_one)
    if ablation is not None:
        show.show_ablation(ablation)
    interventions.show_interventions(choice)
    if choice.can_be_judged:
        title = f"Judge it on {choice.size}, three ablations"
        asked = choice.ask_verdict()
        verdict = answers.answer_by_job(auditor, "claim_test", title, asked, at_once=False)
        if verdict is not None:
            verdict_card.show_verdict(verdict, asked.claim, services.read_multiplicity_ledger(auditor))
maps.header("All heads", anchor=False)
left, right = maps.columns(2, gap="medium")
with left:
    title = f"Read attention on {choice.size}"
    attention = answers.answer_by_job(auditor, "attention", title, choice.ask_attention(), at_once=choice.is_one)
    if attention is not None:
        head_maps.show_attention(
            attention, choices.SOURCES[choice.source], choice.head, inside, interventions.focus_head
        )
with right:
    title = f"Ablate each head on {choice.size}"
    effects = answers.answer_by_job(auditor, "sweep", title, choice.ask_sweep(), at_once=choice.is_one)
    if effects is not None:
        shape = subject.geometry.n_layers, subject.geometry.n_heads
        head_maps.show_effect(effects, *shape, choice.head, inside, interventions.focus_head)
if attention is not None and effects is not None:
    with example:
        head_maps.show_pair(attention, effects, choice.candidates)
    with scatter:
        interventions.show_focus(choice)
        head_maps.show_scatter(
            attention, effects, inside, choice.head, choice.prompts.templates, interventions.focus_head
        )
with own_tests:
    attention_tests.show_title(choice.is_one)
    if not choice.is_one:
        title, asked_tests = f"Run the attention tests on {choice.size}", choice.ask_attention_tests()
        tested = answers.answer_by_job(auditor, "attention_tests", title, asked_tests, at_once=False)
        if tested is not None:
            attention_tests.show_tests(tested)
with details:
    st.header(f"Head {choice.head} on prompt {plain(prompt_id[:60])}", anchor=False)
    pieces = choice.shown.pairs[0].pieces
    before = answers.read_pattern(auditor, choice, choices.UNTOUCHED)
    edges = answers.answer_now(auditor, "edges", choice.ask_edges())
    if edges is not None and before is not None:
        show.show_edges(edges, before[-1].tolist(), pieces[-1])
    found = answers.answer_by_job(
        auditor, "token_gradients", "Measure which tokens the answer depends on", choice.ask_tokens(), at_once=False
    )
    if found is not None:
        show.show_token_gradients(found)
    after = None if choice.intervention is None else answers.read_pattern(auditor, choice, choice.intervention)
    if before is not None:
        is_clean = choice.unedited == choices.UNTOUCHED
        base = before if is_clean else answers.read_pattern(auditor, choice, choice.unedited)
        words = pieces if is_clean else choice.shown.pairs[0].corrupted_pieces
        if base is not None:
            show.show_patterns(base, after, words, choice.head, choice.unedited.side.value)
if ablation is not None and ablation.next_tokens:
    with tokens:
        show.show_next_tokens(ablation)
with below:
    show.show_limits(choice.limits)
    with st.expander("History: earlier runs of this browser", icon=":material/history:"):
        show_history(subject.identity.short)
