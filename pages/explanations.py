"""Explanations: what attribution methods say of a prompt's tokens, beside what replacing the tokens does."""

import streamlit as st

from ui.explanations import form, show, stability
from ui.flow import answers
from ui.flow.history import show_history
from ui.flow.subject_view import ask_in, close_questions, open_page
from ui.parts.tabs import lazy_tabs

# 1. ask

audited = open_page(
    "Explanations",
    "See what attribution methods say about a prompt, and measure whether their order of tokens is better than random.",
    form.FIELDS,
    while_loading=form.show_while_loading,
)
frame, auditor = audited.frame, audited.auditor
request = ask_in(frame.own, lambda: form.ask_trial(audited.whole, audited.measured, audited.prompt_id))
close_questions(frame, form.FIELDS)

# 2. compute

n = len(request.measured)
size = "one prompt" if n == 1 else f"{n} prompts"
recorded = form.find_recorded(st.session_state.model, audited.whole, audited.prompt_id)
if recorded is not None and not recorded.answers(request, auditor.subject.identity.weights_sha256):
    recorded = None
with frame.panes if recorded is None else frame.progress:
    # What is recorded is measured again only when the user asks: it takes minutes of a core.
    measured = answers.answer_by_job(
        auditor, "explanations", f"Try explanations on {size}", request,
        at_once=n == 1 and recorded is None, can_freeze=True,
    )  # fmt: skip

# 3. show

if measured is not None:
    form.show_result(frame, measured)
elif recorded is not None:
    form.show_recorded(frame, recorded)
else:
    frame.answer.markdown("The grades appear here when every method is tried.")
    st.stop()
result = measured if recorded is None or measured is not None else recorded.result
with frame.tabs:
    lazy_tabs(
        {
            "Grades": lambda: show.show_grades(result),
            "Curves": lambda: show.show_curves(result, st.session_state.without),
            "Over the set": lambda: show.show_classes(result),
            "Agreement": lambda: show.show_agreement(result),
            "Randomisation": lambda: show.show_sanity(result),
            "Stability": lambda: stability.show_nearby(result),
            "Policy numbers": lambda: stability.show_policy_numbers(result),
            "Methods": lambda: show.show_methods(result),
            "History": lambda: show_history(auditor.subject.identity.short),
        },
        key="explanations-tabs",
    )
