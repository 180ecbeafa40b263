"""Findings: the register of what people recorded about results, its changes, and notices of what is due."""

import streamlit as st

from audit_core import AuditError
from audit_core.findings import find_rules
from audit_core.governance import Permission
from audit_core.store import FindingRegister, Register
from ui.findings import form, show
from ui.flow import actions, sample
from ui.parts.refusal import show_refusal
from ui.shell import link

# 1. ask

link.seed((link.Field("finding", ""), link.Field("view", ""), link.Field("about", ""), link.Field("suggestion", "")))
head, new = st.columns([8, 2], vertical_alignment="bottom")
head.title("Findings", anchor=False)
home = sample.open_records()
form.show_outcome()
try:
    findings = {one.finding_id: one for one in FindingRegister(home).list_findings()}
    claims = form.name_claims(Register(home).list_claims())
except AuditError as error:
    show_refusal(error)
    st.stop()
can_record = actions.may(Permission.RECORD_FINDING) and bool(claims)
if can_record and st.session_state.view == "new":
    new.button("Back to the register", icon=":material/arrow_back:", on_click=form.leave_new)
    link.repair("about", tuple(claims))
    form.ask_new(claims)
    link.publish({name: st.session_state[name] for name in ("view", "about", "suggestion")}, is_shared=False)
    st.stop()
if can_record:
    new.button("New finding", key="new-finding-button", icon=":material/add:", on_click=form.open_new)

# 2. compute

now = sample.records_now()

# 3. show

if not findings:
    st.info("No person has recorded a finding here. Below is what the results suggest.", icon=":material/info:")
    show.show_suggestions(tuple(claims))
    st.header("Notices", anchor=False)
    show.show_notices(now)
    show.show_changes(now)
    st.stop()
try:
    rules = find_rules(home, ())
    show.show_register(tuple(findings.values()), rules, now)
    link.repair("finding", tuple(findings))
    st.selectbox("Finding", list(findings), key="finding", format_func=lambda key: show.describe_choice(findings[key]))
    link.publish({"finding": st.session_state.finding}, is_shared=False)
    show.show_tabs(findings[st.session_state.finding], tuple(claims), now)
except AuditError as error:
    show_refusal(error)
