"""Audit log: what was done here, by whom, in which order, and whether anybody outside could vouch for it."""

import streamlit as st

from audit_core import AuditError, audit_home
from audit_core.governance import Permission
from ui.flow import actions, answers
from ui.log import show

# 1. ask

st.title("Audit log", anchor=False)
st.markdown(
    "Every run, freeze, verdict and export is an event that names the one before it. Events are appended and never changed; a change "
    "shows, as far as somebody outside holds a checkpoint."
)

# 2. compute

try:
    trail = show.read_with_progress(audit_home())
except AuditError as error:
    answers.show_refusal(error)
    st.stop()

# 3. show

show.show_standing(trail)
if actions.may(Permission.EXPORT_LOG):
    show.offer_files(trail)
st.header("Events", anchor=False)
left, right = st.columns(2)
action = left.selectbox("What", show.list_actions(trail), key="action")
text = right.text_input("Who or about what", key="about", placeholder="anna, C-0001, a run", max_chars=80)
show.show_events(trail, show.choose_events(trail, action, text))
