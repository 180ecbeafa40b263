"""Monitors: what an alarm on an internal signal detects beside output-only baselines, at one bounded false-alarm rate."""

from functools import partial

import streamlit as st

from audit_core import AuditError
from ui.monitors import form, show
from ui.parts.refusal import show_refusal
from ui.parts.tabs import lazy_tabs
from ui.shell import link

# 1. ask

link.seed(form.FIELDS)
st.title("Monitors", anchor=False)
with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
    try:
        monitor, name = form.ask_monitor()
    except AuditError as error:
        show_refusal(error)
        st.stop()
link.publish({"monitor": st.session_state.monitor})

# 2. compute: what is shown first is in the monitor's file

# 3. show

show.show_answer(monitor, name in form.SHIPPED)
show.show_panes(monitor)
lazy_tabs(
    {
        "Your own text": partial(form.ask_text, monitor, name),
        "Other texts and styles": partial(show.show_check, monitor, name),
        "Causal step": partial(show.show_causal, monitor),
        "Calibration and drift": partial(show.show_details, monitor),
        "In a pipeline": partial(show.show_commands, monitor, name),
    },
    key="monitors-tabs",
)
