"""Source tokens: which the decoder of an encoder–decoder consults, beside which its answer relies on."""

import streamlit as st

from ui.flow import answers
from ui.flow.history import show_history
from ui.flow.subject_view import ask_in, close_questions, open_page
from ui.parts.tabs import lazy_tabs
from ui.source_tokens import form, show

# 1. ask

audited = open_page(
    "Source tokens",
    "See which source tokens an encoder–decoder consults, and measure which its answer relies on.",
    form.first_visit(),
)
frame, auditor = audited.frame, audited.auditor
if not ask_in(frame.answer, lambda: form.has_source(auditor.subject)):
    close_questions(frame, form.FIELDS)
    st.stop()
request = ask_in(frame.own, lambda: form.ask_source(audited.whole, audited.measured, audited.prompt_id))
close_questions(frame, form.FIELDS)

# 2. compute

n = len(request.prompts)
size = "one prompt" if n == 1 else f"{n} prompts"
with frame.panes:
    result = answers.answer_by_job(auditor, "source_tokens", f"Audit source tokens on {size}", request, at_once=True)

# 3. show


def show_heads() -> None:
    """Ask about the heads on request, because that takes longer."""
    found = answers.answer_by_job(
        auditor, "both_sides", f"Audit every head on {size}", form.ask_heads(request), at_once=False
    )
    if found is not None:
        show.show_heads(found)


if result is None:
    frame.answer.markdown("The answer appears here when every source token is measured.")
    st.stop()
with frame.answer:
    show.show_answer(result)
with frame.panes:
    show.show_panes(result, st.session_state.way)
with frame.tabs:
    lazy_tabs(
        {
            "Judged token": lambda: show.show_judged(result),
            "Heads on both sides": show_heads,
            "History": lambda: show_history(auditor.subject.identity.short),
        },
        key="source-tabs",
    )
