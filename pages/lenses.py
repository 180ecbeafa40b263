"""Lenses: what the inside of a model shows through its unembedding, beside what replacing its parts does."""

import streamlit as st

from ui.flow import answers
from ui.flow.history import show_history
from ui.flow.subject_view import ask_in, close_questions, open_page
from ui.lenses import form, show
from ui.parts.tabs import lazy_tabs

# 1. ask

audited = open_page(
    "Lenses",
    "See what each layer, head and MLP shows of the answer. Apart from it, measure what replacing it does.",
    form.FIELDS,
    asks_scope=False,
    while_loading=form.show_while_loading,
)
frame, auditor = audited.frame, audited.auditor
request = ask_in(frame.own, lambda: form.ask_lenses(audited.whole))
close_questions(frame, form.FIELDS)

# 2. compute

model = st.session_state.model
recorded = form.find_recorded(model, audited.whole)
if recorded is not None and not recorded.answers(request, auditor.subject.identity.weights_sha256):
    recorded = None
title = f"Read and replace every part on {len(request.prompts)} prompts"
with frame.panes if recorded is None else frame.progress:
    measured = answers.answer_by_job(auditor, "lenses", title, request, at_once=model.startswith("planted-"))

# 3. show

if measured is not None:
    form.show_result(frame, measured)
elif recorded is not None:
    form.show_recorded(frame, recorded)
else:
    frame.answer.markdown("The answer appears here when every part is measured.")
    st.stop()
result = measured if recorded is None or measured is not None else recorded.result
with frame.tabs:
    lazy_tabs(
        {
            "Layers": lambda: show.show_layers(result, "-tab"),
            "Heads and MLPs": lambda: show.show_parts(result),
            "Agreement": lambda: show.show_agreement(result),
            "Prompts and checks": lambda: show.show_details(result),
            "History": lambda: show_history(auditor.subject.identity.short),
        },
        key="lenses-tabs",
    )
