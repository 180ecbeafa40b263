"""Features: what the features of a sparse dictionary fire on and write, beside what zeroing them does."""

import streamlit as st

from ui.features import browser, evaluation, form, show, versions
from ui.flow import answers, model_question, services
from ui.flow.history import show_history
from ui.flow.subject_view import ask_in, close_questions
from ui.parts.tabs import lazy_tabs
from ui.parts.workbench import open_frame
from ui.steering import form as steering

# 1. ask

form.adopt()
frame = open_frame(
    "Features",
    "Search the features of a sparse dictionary, and label them. Apart from it, measure what zeroing one does to the answer.",
)
with frame.question:
    model = form.ask_model()
with frame.more:
    model_question.use_another()
entry = ask_in(frame.question, lambda: form.ask_dictionary(model))
# Start loading before the rest is drawn, because it takes longest.
with frame.answer:
    is_on_its_way = model_question.settle(model)
if entry is None:
    form.add_first(frame, model, is_on_its_way)
texts = ask_in(frame.question, lambda: form.ask_texts(entry))
named = ask_in(frame.own, form.ask_named)
recorded = form.find_recorded(model, entry, texts, named)
auditor = services.POOL.auditor(model)

# 2. compute

measured = None
if auditor is not None:
    request = ask_in(frame.answer, lambda: form.make_request(auditor, entry, texts, named))
    if recorded is not None and not recorded.answers(request, auditor.subject.identity.weights_sha256):
        recorded = None
    title = f"Measure features on {len(request.prompts)} prompts"
    with frame.panes if recorded is None else frame.progress:
        measured = answers.answer_by_job(auditor, "features", title, request, at_once=model.startswith("planted-"))

# 3. show

if measured is not None:
    form.show_result(frame, measured)
elif recorded is not None:
    form.show_recorded(frame, recorded)
else:
    with frame.answer:
        st.markdown("The answer appears here when the features are measured.")
result = measured if measured is not None else None if recorded is None else recorded.result
close_questions(frame, form.FIELDS)
tabs = {"Browser": lambda: browser.show_browser(entry, auditor)}
if result is not None:
    tabs |= {
        "Findings": lambda: show.show_verdicts(result),
        "Prompts and checks": lambda: show.show_details(result),
    }
tabs |= {"Steering": lambda: steering.show_steering(model, auditor)}
tabs |= {
    "Dictionary": lambda: show.show_dictionary(model, entry, auditor),
    "Evaluation": lambda: evaluation.show_evaluation(model, entry, auditor),
    "Two versions": lambda: versions.show_versions(model, entry, auditor),
}
if auditor is not None:
    tabs |= {"History": lambda: show_history(auditor.subject.identity.short)}
with frame.tabs:
    lazy_tabs(tabs, key="features-tabs")
if auditor is None and is_on_its_way:
    # The browser needs no model; below what is recorded, so that no figure moves when the model is loaded.
    with frame.answer if recorded is None else frame.progress:
        answers.wait_for_model(model)
    st.rerun()
