"""Procurement: questions to a vendor, the answers, who gave them, and the evidence they name."""

import streamlit as st

from audit_core import AuditError, audit_home
from audit_core.governance import Permission
from audit_core.references import load_checklist
from audit_core.store import Checklists, Register
from ui.flow import actions
from ui.parts.refusal import show_refusal
from ui.procurement import form, show
from ui.shell import link

# 1. ask

checklist = load_checklist()
st.title("Procurement", anchor=False)
st.markdown(
    "Questions to put to a vendor before buying a model. An answer is a vendor's statement with the evidence it names, not a finding."
)
try:
    saved = {one.checklist_id: one for one in reversed(Checklists(audit_home()).list_latest())}
    claims = [known.claim_id for known in Register(audit_home()).list_claims()]
except AuditError as error:
    show_refusal(error)
    st.stop()
form.show_outcome()
link.seed((link.Field("checklist", ""),))
link.repair("checklist", ("", *saved))
st.selectbox("Checklist", ["", *saved], key="checklist", format_func=lambda key: show.describe_choice(saved.get(key)))
link.publish({"checklist": st.session_state.checklist})
current = saved.get(st.session_state.checklist)

# 2. compute

try:
    versions = Checklists(audit_home()).find(current.checklist_id) if current else ()
except AuditError as error:
    show_refusal(error)
    st.stop()

# 3. show

if current is None:
    show.show_none(checklist)
else:
    show.show_saved(current)
if actions.may(Permission.FILL_CHECKLIST):
    form.ask_answers(checklist, current, claims)
if current is not None:
    show.show_answers(current)
    show.show_versions(versions)
show.show_source(checklist)
