"""Robustness: one claim under changed prompts and decoding."""

import streamlit as st

from ui.flow import answers
from ui.flow.history import show_history
from ui.flow.subject_view import ask_in, close_questions, open_page
from ui.parts.tabs import lazy_tabs
from ui.robustness import form, show

# 1. ask

audited = open_page(
    "Robustness",
    "Test a claim again on paraphrases, misleading text, other templates, other ways of decoding and other models.",
    form.first_visit(),
    asks_scope=False,
    while_loading=form.show_while_loading,
)
frame, auditor = audited.frame, audited.auditor
request = ask_in(frame.own, lambda: form.ask_claim(auditor.subject, audited.whole))
close_questions(frame, form.FIELDS)

# 2. compute

recorded = form.find_recorded(
    st.session_state.model, audited.whole, request.claim, auditor.subject.identity.weights_sha256
)
with frame.answer if recorded is None else frame.progress:
    measured = answers.answer_by_job(auditor, "robustness", "Test robustness", request, at_once=False, can_freeze=True)

# 3. show

if measured is not None:
    with frame.answer:
        show.show_answer(measured)
    with frame.panes:
        show.show_effects(measured)
elif recorded is not None:
    form.show_recorded(frame, recorded)
else:
    frame.answer.markdown("The answer appears here when every perturbation is measured.")
    st.stop()
result = measured if recorded is None or measured is not None else recorded.result
with frame.tabs:
    lazy_tabs(
        {
            "Difference": lambda: show.show_differences(result),
            "What is changed": lambda: show.show_changes(result),
            "History": lambda: show_history(auditor.subject.identity.short),
        },
        key="robustness-tabs",
    )
