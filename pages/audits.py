"""Audit by form: any audit of the shelf, with a form made from its request and a drawing made from its result."""

from ui.audits import form, show
from ui.flow import answers
from ui.flow.history import show_history
from ui.flow.subject_view import ask_in, close_questions, open_page
from ui.parts.effect_files import offer_effects
from ui.parts.tabs import lazy_tabs

# 1. ask

audited = open_page(
    "Audit by form",
    "Ask any audit of this installation. The form and the drawing follow from what the audit declares.",
    form.first_visit(),
)
frame, auditor = audited.frame, audited.auditor
audit = ask_in(frame.own, lambda: form.ask_audit(auditor.subject))
request = ask_in(
    frame.own,
    lambda: form.ask_request(audit, auditor.subject, audited.whole, audited.measured, audited.prompt_id, frame.more),
)
close_questions(frame, form.FIELDS)

# 2. compute

n = len(request.prompts)
title = f"Run {audit.name.replace('_', ' ')} on {'one prompt' if n == 1 else f'{n} prompts'}"
with frame.answer:
    result = answers.answer_by_job(auditor, audit.name, title, request, at_once=False, can_freeze=True)

# 3. show

if result is not None:
    with frame.answer:
        show.show_answer(audit, n)
    with frame.panes:
        show.show_drawing(audit, result)
        offer_effects(auditor, audit.name, request, result)
with frame.tabs:
    lazy_tabs(
        {
            "All audits": lambda: show.show_shelf(auditor.subject),
            "History": lambda: show_history(auditor.subject.identity.short),
        },
        key="audits-tabs",
    )
