"""Decisions: which facts about an applicant change a model's decision, and whether one of them is a proxy."""

from ui.decisions import form, show
from ui.flow import answers
from ui.flow.history import show_history
from ui.flow.recorded_first import wait_for_model
from ui.flow.subject_view import ask_in, close_questions
from ui.parts.tabs import lazy_tabs
from ui.parts.workbench import open_frame

# 1. ask

form.LIVE.adopt(form.FIELDS)
frame = open_frame(
    "Decisions",
    "See which facts about an applicant change a model's yes or no, and whether a protected one acts through another.",
)
with frame.question:
    model = form.ask_model()
given = ask_in(frame.question, form.ask_task)
close_questions(frame, form.FIELDS)

# 2. compute

recorded = form.pick_recorded(given, model)
auditor = None
if recorded is not None:
    result = recorded.result
    form.LIVE.show(frame.progress, recorded.made_at, f"Code digest {recorded.code_sha256[:12]}.")
else:
    with frame.answer:
        auditor = wait_for_model(model)
    request = ask_in(frame.answer, lambda: form.make_request(auditor, given))
    with frame.answer:
        title = f"Decide about {len(request.prompts)} applicants"
        result = answers.answer_by_job(auditor, "decisions", title, request, at_once=False, can_freeze=True)

# 3. show

if result is not None:
    with frame.answer:
        show.show_answer(result)
    with frame.panes:
        show.show_panes(result)
if result is not None and result.does_task:
    with frame.tabs:
        lazy_tabs(
            {
                "Fairness": lambda: show.show_fairness(result),
                "Local and global": lambda: show.show_aggregates(result),
                "Applicants": lambda: show.show_applicants(result),
                "Levels": lambda: show.show_curves(result),
                "Surrogates": lambda: show.show_surrogates(result),
            }
            | ({} if auditor is None else {"History": lambda: show_history(auditor.subject.identity.short)}),
            key="decisions-tabs",
        )
