"""Sweep: the measured effect of every component of a kind, drawn as it arrives, beside an estimate."""

import streamlit as st

from ui.flow import answers
from ui.flow.history import show_history
from ui.flow.subject_view import ask_in, close_questions, open_page
from ui.parts.tabs import lazy_tabs
from ui.shell.navigation import circuit, live_audit
from ui.sweep import form, show

# 1. ask

audited = open_page(
    "Sweep",
    "Ablate every component of a kind, one at a time, and see which ones change the answer.",
    form.first_visit(),
)
frame, auditor = audited.frame, audited.auditor
request = ask_in(
    frame.own, lambda: form.ask_sweep(auditor.subject, audited.whole, audited.measured, audited.prompt_id, frame.more)
)
close_questions(frame, form.FIELDS)

# 2. compute

n = len(request.prompts)
size = "one prompt" if n == 1 else f"{n} prompts"
title = f"Sweep {form.KINDS[request.kind.value].lower()} on {size}"
with frame.panes:
    result = answers.answer_by_job(auditor, "sweep", title, request, at_once=n == 1, show_partial=show.show_partial)

# 3. show

if result is None:
    frame.answer.markdown("The answer appears here when every component is measured.")
    st.stop()
with frame.answer:
    show.show_answer(result, request)
with frame.panes:
    show.show_panes(result)
with frame.below:
    opened = show.show_selection(result)
if opened:
    st.switch_page(circuit() if opened == "circuit" else live_audit())
with frame.tabs:
    lazy_tabs(
        {
            "Ranking": lambda: show.show_ranking(result, auditor, request),
            "Estimated vs. measured": lambda: show.show_comparison(result),
            "Layer profile": lambda: show.show_layers(result),
            "History": lambda: show_history(auditor.subject.identity.short),
        },
        key="sweep-tabs",
    )
