"""Audit log: every recorded event, the result of the integrity check, and the events without an external checkpoint."""

import streamlit as st

from audit_core import AuditError
from audit_core.governance import Permission
from ui.flow import actions, sample
from ui.log import show
from ui.parts.refusal import show_refusal

# 1. ask

st.title("Audit log", anchor=False)
st.markdown(
    "Every run, freeze, verdict and export is an event that contains the hash of the event before it. Events are only appended. "
    "A checkpoint stored outside this machine detects later changes."
)

# 2. compute

home = sample.open_records(is_log=True)
try:
    trail = show.read_with_progress(home)
except AuditError as error:
    show_refusal(error)
    st.stop()

# 3. show

show.show_status(trail)
if actions.may(Permission.EXPORT_LOG):
    show.offer_files(trail)
st.header("Events", anchor=False)
left, right = st.columns(2)
action = left.selectbox("Action", show.list_actions(trail), key="action")
text = right.text_input("Actor, object or claim", key="about", placeholder="anna, C-0001, a run", max_chars=80)
show.show_events(trail, show.choose_events(trail, action, text))
