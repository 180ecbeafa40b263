"""Procurement: what to ask of a vendor, what was answered, by whom, and on which evidence."""

import streamlit as st

from audit_core import AuditError, Checklists, Deed, Register, audit_home, load_checklist
from ui import deeds, link, live_steps, procurement_ask, procurement_show

# 1. ask

checklist = load_checklist()
st.title("Procurement", anchor=False)
st.markdown(
    "Questions to put to a vendor before a model is bought. An answer is what somebody wrote, with the evidence that it names; "
    "it is not a finding. Unanswered counts neither as yes nor as no."
)
try:
    saved = {one.checklist_id: one for one in reversed(Checklists(audit_home()).list_latest())}
    claims = [known.claim_id for known in Register(audit_home()).list_claims()]
except AuditError as error:
    live_steps.show_refusal(error)
    st.stop()
procurement_ask.show_outcome()
link.seed((link.Field("checklist", ""),))
link.repair("checklist", ("", *saved))
st.selectbox(
    "Checklist", ["", *saved], key="checklist", format_func=lambda key: procurement_show.describe_choice(saved.get(key))
)
link.publish({"checklist": st.session_state.checklist})
current = saved.get(st.session_state.checklist)
if deeds.may(Deed.FILL_CHECKLIST):
    procurement_ask.ask_answers(checklist, current, claims)

# 2. compute

try:
    versions = Checklists(audit_home()).find(current.checklist_id) if current else ()
except AuditError as error:
    live_steps.show_refusal(error)
    st.stop()

# 3. show

if current is None:
    procurement_show.show_none()
else:
    procurement_show.show_saved(current)
    procurement_show.show_versions(versions)
procurement_show.show_source(checklist)
