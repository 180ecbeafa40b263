"""Review desk: packs that wait for review or approval, the evidence for and against, and signed decisions."""

import streamlit as st

from audit_core import AuditError
from audit_core.review import list_cases, open_case
from ui.desk import form, show
from ui.flow import actions, answers, sample
from ui.shell import link

# 1. ask

link.seed((link.Field("case", ""),))
st.title("Review desk", anchor=False)
st.markdown(
    "A released pack has three signatures, by its preparer, its reviewer and its approver. Each person decides once, on exactly these bytes."
)
home = sample.open_records()
form.ask_pack()
try:
    cases = {case.pack.root_digest: case for case in list_cases(home)}
except AuditError as error:
    answers.show_refusal(error)
    st.stop()
if not cases:
    show.show_none()
    st.stop()
show.show_agreement(tuple(cases.values()))
link.repair("case", tuple(cases))
st.selectbox("Pack", list(cases), key="case", format_func=lambda key: show.describe_choice(cases[key]))
link.publish({"case": st.session_state.case})
signer = form.ask_viewer()

# 2. compute

try:
    opened = open_case(home, st.session_state.case, now=sample.records_now())
except AuditError as error:
    answers.show_refusal(error)
    st.stop()

# 3. show

show.show_claims(opened)
show.show_gate(opened)
show.show_limits(opened)
show.show_decisions(opened, actions.list_names(signer))
form.ask_decision(opened, signer)
show.offer_files(opened)
