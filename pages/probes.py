"""Probes: where a label can be decoded, beside where the answer relies on it."""

import streamlit as st

from ui.flow import answers, model_question, services
from ui.flow.history import show_history
from ui.flow.subject_view import ask_in, close_questions
from ui.parts.tabs import lazy_tabs
from ui.parts.workbench import open_frame
from ui.probes import form, show

# 1. ask

form.adopt()
frame = open_frame(
    "Probes",
    "See where a label of the texts can be decoded. Apart from it, measure where the answer relies on it.",
    has_own=False,
)
with frame.question:
    model = form.ask_model()
with frame.more:
    model_question.use_another()
# Start loading before the rest is drawn, because it takes longest.
with frame.answer:
    is_on_its_way = model_question.settle(model)
labelled = ask_in(frame.question, lambda: form.ask_labelled(model))
numbers = ask_in(frame.more, form.ask_numbers)
recorded = form.find_recorded(model, labelled, numbers)
if recorded is not None and services.POOL.auditor(model) is None:
    form.show_recorded(frame, recorded)
    if is_on_its_way:
        # Below what is recorded, so that no figure moves when the model is loaded.
        with frame.progress:
            answers.wait_for_model(model)
        st.rerun()
if not is_on_its_way:
    st.stop()
with frame.answer:
    auditor = answers.wait_for_model(model)
request = ask_in(frame.answer, lambda: form.make_request(auditor, model, labelled, numbers))
if recorded is not None and not recorded.answers(request, auditor.subject.identity.weights_sha256):
    recorded = None

# 2. compute

title = f"Probe {len(request.prompts)} labelled texts"
with frame.panes if recorded is None else frame.progress:
    measured = answers.answer_by_job(auditor, "probes", title, request, at_once=model.startswith("planted-"))

# 3. show

if measured is not None:
    form.show_result(frame, measured)
elif recorded is not None:
    form.show_recorded(frame, recorded)
else:
    close_questions(frame, form.FIELDS)
    st.stop()
result = measured if recorded is None or measured is not None else recorded.result
close_questions(frame, form.FIELDS)
with frame.tabs:
    lazy_tabs(
        {
            "Verdicts": lambda: show.show_verdicts(result),
            "Probes": lambda: show.show_decoded(result),
            "Edits": lambda: show.show_edits(result),
            "Texts and conditions": lambda: show.show_details(result),
            "History": lambda: show_history(auditor.subject.identity.short),
        },
        key="probes-tabs",
    )
