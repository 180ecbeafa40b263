"""Experts: where the routers of a mixture send tokens, beside what each expert does to the answer."""

import streamlit as st

from ui.experts import form, show
from ui.flow import answers
from ui.flow.history import show_history
from ui.flow.subject_view import ask_in, close_questions, open_page
from ui.parts.tabs import lazy_tabs

# 1. ask

audited = open_page(
    "Experts",
    "See where the routers of a mixture of experts send tokens, and measure what each expert does.",
    form.first_visit(),
)
frame, auditor = audited.frame, audited.auditor
if not ask_in(frame.answer, lambda: form.has_experts(auditor.subject)):
    close_questions(frame, form.FIELDS)
    st.stop()
request = ask_in(frame.own, lambda: form.ask_experts(audited.whole, audited.measured, audited.prompt_id))
close_questions(frame, form.FIELDS)

# 2. compute

n = len(request.prompts)
title = f"Audit experts on {'one prompt' if n == 1 else f'{n} prompts'}"
with frame.panes:
    result = answers.answer_by_job(auditor, "experts", title, request, at_once=True)

# 3. show

if result is None:
    frame.answer.markdown("The answer appears here when every expert is measured.")
    st.stop()
with frame.answer:
    show.show_answer(result)
with frame.panes:
    show.show_panes(result)
with frame.tabs:
    lazy_tabs(
        {
            "Mask in three parts": lambda: show.show_split(result),
            "One expert": lambda: show.show_focus(result),
            "Together": lambda: show.show_together(result),
            "Forced route": lambda: show.show_forced(result),
            "Token weight": lambda: show.show_weights(result),
            "Routing": lambda: show.show_routing(result),
            "Conditions": lambda: show.show_details(result),
            "History": lambda: show_history(auditor.subject.identity.short),
        },
        key="experts-tabs",
    )
