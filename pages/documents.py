"""Documents: which a reader consults, beside which its answer relies on."""

import streamlit as st

from ui.documents import form, sentences, show
from ui.flow import answers, closed_command, model_question, services
from ui.flow.history import show_history
from ui.flow.subject_view import ask_in, close_questions
from ui.parts.tabs import lazy_tabs
from ui.parts.workbench import open_frame

# 1. ask

form.adopt()
frame = open_frame(
    "Documents",
    "See which documents a reader consults. Apart from it, measure which its answer relies on.",
)
with frame.question:
    model = form.ask_model()
with frame.more:
    model_question.use_another()
# Start loading before the rest is drawn, because it takes longest.
with frame.answer:
    is_on_its_way = model_question.settle(model)
questions = ask_in(frame.question, lambda: form.ask_questions(model))
most = ask_in(frame.more, form.ask_number)
with frame.more:
    closed_command.offer_command("closed_documents", form.name_file(questions))
recorded = form.find_recorded(model, questions, most)
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
request = ask_in(frame.answer, lambda: form.make_request(auditor, model, questions, most))
if recorded is not None and not recorded.answers(request, auditor.subject.identity.weights_sha256):
    recorded = None

# 2. compute

n = len(request.prompts)
title = f"Audit the documents of {'one question' if n == 1 else f'{n} questions'}"
with frame.panes if recorded is None else frame.progress:
    measured = answers.answer_by_job(
        auditor, "documents", title, request, at_once=model.startswith("planted-"), can_freeze=True
    )
    if measured is None:
        form.offer_quick(auditor, model, questions, request)

# 3. show

if measured is not None:
    form.show_result(frame, measured)
elif recorded is not None:
    form.show_recorded(frame, recorded)
else:
    close_questions(frame, form.FIELDS)
    st.stop()
result = measured if recorded is None or measured is not None else recorded.result
row = form.find_shown(result)
if measured is not None:
    form.note_share(frame, result, most)
close_questions(frame, form.FIELDS)
with frame.tabs:
    lazy_tabs(
        {
            "Labels": lambda: show.show_labels(result),
            "One row a document": lambda: show.show_documents(row),
            "Sentences": lambda: sentences.show_sentences(auditor, request, row),
            "Questions": lambda: show.show_questions(result),
            "Through the layers": lambda: show.show_layers(result),
            "File and conditions": lambda: show.show_details(result),
            "History": lambda: show_history(auditor.subject.identity.short),
        },
        key="documents-tabs",
    )
