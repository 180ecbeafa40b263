"""Documents: which a reader consults, beside which its answer relies on."""

from ui.documents import form, show
from ui.flow import answers
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
questions = ask_in(frame.question, lambda: form.ask_questions(model))
most = ask_in(frame.more, form.ask_number)
with frame.answer:
    auditor = form.wait_for_model(model)
request = ask_in(frame.answer, lambda: form.make_request(auditor, model, questions, most))
shown = ask_in(frame.own, lambda: form.ask_shown(tuple(pair.prompt.id for pair in request.prompts.pairs)))
close_questions(frame, form.FIELDS)

# 2. compute

n = len(request.prompts)
title = f"Audit the documents of {'one question' if n == 1 else f'{n} questions'}"
with frame.panes:
    result = answers.answer_by_job(auditor, "documents", title, request, at_once=model.startswith("planted-"))

# 3. show

if result is not None:
    row = next(one for one in result.questions if one.id == shown)
    with frame.answer:
        show.show_answer(result, row)
    with frame.panes:
        show.show_panes(row)
    with frame.tabs:
        lazy_tabs(
            {
                "One row a document": lambda: show.show_documents(row),
                "Labels": lambda: show.show_labels(result),
                "Questions": lambda: show.show_questions(result),
                "Through the layers": lambda: show.show_layers(result),
                "File and conditions": lambda: show.show_details(result),
                "History": lambda: show_history(auditor.subject.identity.short),
            },
            key="documents-tabs",
        )
