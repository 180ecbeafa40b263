"""Tools: what decides which one a model chooses, beside whether its answer relies on the result."""

import streamlit as st

from ui.flow import answers, closed_command, model_question, services
from ui.flow.history import show_history
from ui.flow.subject_view import ask_in, close_questions
from ui.parts.tabs import lazy_tabs
from ui.parts.workbench import open_frame
from ui.shell.navigation import sweep
from ui.tools import form, inside, show

# 1. ask

form.adopt()
frame = open_frame(
    "Tools",
    "See what decides which tool a model chooses. Then edit what the tool returns, and see whether the answer follows.",
    has_own=False,
)
with frame.question:
    model = form.ask_model()
with frame.more:
    model_question.use_another()
# Start loading before the rest is drawn, because it takes longest.
with frame.answer:
    is_on_its_way = model_question.settle(model)
requests = ask_in(frame.question, lambda: form.ask_requests(model))
with frame.more:
    closed_command.offer_command("closed_tools", form.name_file(requests))
recorded = ask_in(frame.answer, lambda: form.find_recorded(model, requests))
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
request = ask_in(frame.answer, lambda: form.make_request(auditor, model, requests))
if recorded is not None and not recorded.answers(request, auditor.subject.identity.weights_sha256):
    recorded = None

# 2. compute

title = f"Ask {len(request.measured)} requests"
with frame.panes if recorded is None else frame.progress:
    measured = answers.answer_by_job(auditor, "tools", title, request, at_once=False, can_freeze=True)

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
if inside.is_opening():
    st.switch_page(sweep())
with frame.tabs:
    lazy_tabs(
        {
            "Requests": lambda: show.show_requests(result),
            "Choices": lambda: show.show_choices(result),
            "Inside the model": lambda: inside.show_inside(auditor.subject, model, result),
            "Edited results": lambda: show.show_edits(result),
            "Conditions": lambda: show.show_conditions(result),
            "History": lambda: show_history(auditor.subject.identity.short),
        },
        key="tools-tabs",
    )
