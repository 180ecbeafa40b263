"""Sweep: the exact effect of every component of a kind, growing as it is measured, with the estimate beside it."""

import streamlit as st

from ui import live_show, live_steps, sweep_ask, sweep_show
from ui.audited import ask_beside, close_questions, open_page
from ui.places import circuit, live_audit

# 1. ask

audited = open_page(
    "Sweep",
    "Replace every component of a kind, one at a time, and see which of them the answer moves with.",
    sweep_ask.FIELDS,
)
auditor = audited.auditor
request = ask_beside(lambda: sweep_ask.ask_sweep(auditor.subject, audited.whole, audited.measured, audited.prompt_id))
close_questions(sweep_ask.FIELDS)
live_show.show_subject(auditor.subject)
st.header("One at a time", anchor=False)

# 2. compute

n = len(request.prompts)
size = "one prompt" if n == 1 else f"{n} prompts"
title = f"Sweep {sweep_ask.KINDS[request.kind.value].lower()} on {size}"
result = live_steps.answer_by_job(
    auditor, "sweep", title, request, at_once=n == 1, show_partial=sweep_show.show_partial
)

# 3. show

if result is not None:
    sweep_show.show_map(result)
    opened = sweep_show.show_selection(result)
    if opened:
        st.switch_page(circuit() if opened == "circuit" else live_audit())
    sweep_show.show_ranking(result)
    sweep_show.show_screen(result)
    sweep_show.show_layers(result)
