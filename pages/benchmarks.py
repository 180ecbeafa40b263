"""Benchmarks: accuracy on a file of questions, beside the effect of components where the model is right."""

from ui.benchmarks import form, show
from ui.flow import answers
from ui.flow.history import show_history
from ui.flow.recorded_first import wait_for_model
from ui.flow.subject_view import ask_in, close_questions
from ui.parts.tabs import lazy_tabs
from ui.parts.workbench import open_frame

# 1. ask

form.LIVE.adopt(form.FIELDS)
frame = open_frame(
    "Benchmarks",
    "See how often a model is right on a benchmark. Apart from it, see what components do on the items it gets right.",
)
with frame.question:
    model = form.ask_model()
# Before the file: a refused file must not take the answers from the page.
asked = ask_in(frame.own, lambda: form.ask_answers(frame.more))
file = ask_in(frame.question, form.ask_file)
close_questions(frame, form.FIELDS)

# 2. compute

recorded = form.find_recorded(file, asked, model)
if recorded is not None:
    result, auditor = recorded.result, None
    form.LIVE.show(frame.progress, recorded.made_at, f"Code digest {recorded.code_sha256[:12]}.")
else:
    with frame.answer:
        auditor = wait_for_model(model)
    request = ask_in(frame.answer, lambda: form.make_request(auditor, file, asked))
    with frame.answer:
        title = f"Measure {len(request.prompts)} items"
        result = answers.answer_by_job(auditor, "benchmark", title, request, at_once=False, can_freeze=True)

# 3. show

if result is not None:
    with frame.answer:
        show.show_answer(result)
    with frame.panes:
        show.show_panes(result)
    with frame.tabs:
        lazy_tabs(
            {
                "By category": lambda: show.show_categories(result),
                "Items": lambda: show.show_items(result, file),
                "File and conditions": lambda: show.show_details(result, recorded),
            }
            | ({} if auditor is None else {"History": lambda: show_history(auditor.subject.identity.short)}),
            key="benchmarks-tabs",
        )
