"""Rationale: whether answers rely on the steps that are written before them."""

from ui.flow import answers
from ui.flow.history import show_history
from ui.flow.recorded_first import wait_for_model
from ui.flow.subject_view import ask_in, close_questions
from ui.parts.tabs import lazy_tabs
from ui.parts.workbench import open_frame
from ui.rationale import form, show

# 1. ask

form.LIVE.adopt(form.FIELDS)
frame = open_frame(
    "Rationale",
    "See whether a model's answers rely on the steps written before them. Every metric is first measured on planted models.",
)
with frame.question:
    model = form.ask_model()
given = ask_in(frame.question, lambda: form.ask_questions(model))
close_questions(frame, form.FIELDS)
known = ask_in(frame.answer, form.load_known)

# 2. compute

recorded = ask_in(frame.answer, lambda: form.find_recorded(model, given))
if recorded is not None:
    result, auditor, prompts = recorded.result, None, form.list_prompts(given)
    note = f"Measuring took {recorded.wall_s / 60:.0f} minutes on {recorded.n_threads} core."
    form.LIVE.show(frame.progress, recorded.measured_with.recorded_at, note)
else:
    with frame.panes:
        show.show_known(known.table)
    with frame.answer:
        auditor = wait_for_model(model)
    request = ask_in(frame.answer, lambda: form.make_request(auditor, given))
    prompts = {pair.prompt.id: pair.prompt for pair in request.prompts.pairs}
    with frame.answer:
        title = f"Ask {len(request.measured)} questions"
        result = answers.answer_by_job(auditor, "rationale", title, request, at_once=False, can_freeze=True)

# 3. show

with frame.prompt:
    show.show_banner(None if result is None else result.verdict)
if result is not None:
    with frame.answer:
        show.show_answer(result, known.table, "causal recorded" if recorded else "causal")
    frame.panes.empty()
    with frame.panes.container():
        show.show_panes(result, known.table)
    with frame.tabs:
        lazy_tabs(
            {
                "Steps": lambda: show.show_chains(result, prompts),
                "Templates": lambda: show.show_templates(result),
                "Edits": lambda: show.show_edits(result),
                "Hints": lambda: show.show_hints(result),
                "Metrics": lambda: show.show_metrics(result, known.table),
                "Planted models": lambda: show.show_models(known),
                "Conditions": lambda: show.show_conditions(result, recorded),
            }
            | ({} if auditor is None else {"History": lambda: show_history(auditor.subject.identity.short)}),
            key="rationale-tabs",
        )
