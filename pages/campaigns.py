"""Campaigns: models × prompt sets × audits that run as a process of their own; progress, cost, failures, cancel."""

import streamlit as st

from audit_core import AuditError, audit_home
from audit_core.campaigns import read_status
from ui.campaigns import act, form, show
from ui.parts.refusal import show_refusal
from ui.parts.tabs import lazy_tabs
from ui.shell import link

# 1. ask

link.seed((link.Field("campaign", ""),))
st.title("Campaigns", anchor=False)
chosen = form.ask_campaign()

# 2. compute

try:
    status = read_status(audit_home(), chosen) if chosen else form.show_recorded_note().status
except AuditError as error:
    show_refusal(error)
    st.stop()

# 3. show

form.show_refused()
if status.is_running or act.is_starting(chosen):
    show.show_progress(chosen)
else:
    show.show_answer(status)
    if chosen:
        form.offer_cancel(status)
        form.offer_start(status, show.write_s(status.remaining_s))
lazy_tabs(
    {
        "Failures and refusals": lambda: show.show_failures(status),
        "Questions": lambda: show.show_questions(status),
        "Run one": lambda: show.show_commands(status),
    },
    key="campaign-tabs",
)
