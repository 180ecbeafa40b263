"""Sweep: the exact effect of every component of a kind, growing as it is measured, with the estimate beside it."""

import streamlit as st

from audit_core import AuditError
from ui import link, live_ask, live_show, live_steps, own_prompts, services, sweep_ask, sweep_show
from ui.places import live_audit

# 1. ask

own_prompts.adopt_pending(live_ask.forget_prompt)
link.seed(sweep_ask.FIELDS)
st.title("Sweep", anchor=False)
st.markdown("Replace every component of a kind, one at a time, and see which of them the answer moves with.")
with st.sidebar:
    st.header("What is audited", anchor=False)
    model = live_ask.ask_model()
    services.ROOM.open(model)
    try:
        prompts = live_ask.ask_prompts()
        measured, prompt_id = live_ask.ask_scope(prompts)
    except AuditError as error:
        live_steps.show_refusal(error)
        st.stop()
live_show.show_prompt(prompts, prompt_id)
auditor = live_steps.wait_for_model(model)
try:
    whole = services.tokenised(auditor, prompts)
    with st.sidebar:
        request = sweep_ask.ask_sweep(auditor.subject, whole, measured, prompt_id)
except AuditError as error:
    live_steps.show_refusal(error)
    st.stop()
link.publish({field.key: st.session_state[field.key] for field in sweep_ask.FIELDS})
link.show_link()
live_show.show_identity(auditor.subject.identity)

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
    if sweep_show.show_selection(result):
        st.switch_page(live_audit())
    sweep_show.show_ranking(result)
    sweep_show.show_screen(result)
    sweep_show.show_layers(result)
