"""Decisions: which inputs change a model's decision, and whether one of them is a proxy; language models and tabular ones."""

from ui import decisions, tabular
from ui.decisions import source
from ui.flow import answers
from ui.flow.history import show_history
from ui.flow.recorded_first import wait_for_model
from ui.flow.subject_view import ask_in, close_questions
from ui.parts.tabs import lazy_tabs
from ui.parts.workbench import open_frame
from ui.shell import link

PARTS = {source.LANGUAGE: (decisions, "decisions"), source.TABLE: (tabular, "tabular")}

# 1. ask

link.seed((source.FIELD,))
frame = open_frame(
    "Decisions",
    "See which facts about an applicant change a model's yes or no, and whether a protected one acts through another. "
    "A tabular model is asked by changing the features of its rows.",
)
with frame.question:
    parts, audit = PARTS[source.ask_source()]
form, show = parts.form, parts.show
form.LIVE.adopt(form.FIELDS)
with frame.question:
    model = form.ask_model()
given = ask_in(frame.question, form.ask_task)
close_questions(frame, (source.FIELD, *form.FIELDS))

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
        result = answers.answer_by_job(
            auditor, audit, form.name_run(request), request, at_once=False, can_freeze=True
        )  # fmt: skip

# 3. show

if result is not None:
    with frame.answer:
        show.show_answer(result)
    with frame.panes:
        show.show_panes(result)
if result is not None and result.does_task:
    with frame.tabs:
        lazy_tabs(
            show.list_tabs(result)
            | ({} if auditor is None else {"History": lambda: show_history(auditor.subject.identity.short)}),
            key=f"{audit}-tabs",
        )
