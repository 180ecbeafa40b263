"""Sweep: the measured effect of every component of a kind, drawn as it arrives, beside an estimate."""

import streamlit as st

from ui.flow import answers
from ui.flow.subject_view import ask_beside, close_questions, open_page, show_subject
from ui.shell.navigation import circuit, live_audit
from ui.sweep import form, show

# 1. ask

audited = open_page(
    "Sweep",
    "Ablate every component of a kind, one at a time, and see which of them change the answer.",
    form.FIELDS,
)
auditor = audited.auditor
request = ask_beside(lambda: form.ask_sweep(auditor.subject, audited.whole, audited.measured, audited.prompt_id))
close_questions(form.FIELDS)
show_subject(auditor.subject)
st.header("One at a time", anchor=False)

# 2. compute

n = len(request.prompts)
size = "one prompt" if n == 1 else f"{n} prompts"
title = f"Sweep {form.KINDS[request.kind.value].lower()} on {size}"
result = answers.answer_by_job(auditor, "sweep", title, request, at_once=n == 1, show_partial=show.show_partial)

# 3. show

if result is not None:
    show.show_map(result)
    opened = show.show_selection(result)
    if opened:
        st.switch_page(circuit() if opened == "circuit" else live_audit())
    show.show_ranking(result)
    show.show_estimate(result)
    show.show_layers(result)
