"""Review desk: packs that wait for review or approval, the evidence for and against, and signed decisions."""

import streamlit as st

from audit_core import AuditError
from audit_core.review import list_cases, open_case
from ui.desk import bring, form, show
from ui.flow import actions, sample
from ui.parts.refusal import show_refusal
from ui.shell import link

# 1. ask

link.seed((link.Field("case", ""),))
st.title("Review desk", anchor=False)
st.markdown(
    "A released pack has three signatures: preparer, reviewer, approver. Each signs once, for exactly this file."
)
home = sample.open_records()
bring.ask_pack()
if bring.show_read_only():
    st.stop()
try:
    cases = {case.pack.root_digest: case for case in list_cases(home)}
except AuditError as error:
    show_refusal(error)
    st.stop()
if not cases:
    show.show_none()
    st.stop()
show.show_agreement(tuple(cases.values()))
link.repair("case", tuple(cases))
left, right = st.columns([3, 1])
left.selectbox("Pack", list(cases), key="case", format_func=lambda key: show.describe_choice(cases[key]))
link.publish({"case": st.session_state.case})
with right:
    signer = form.ask_viewer()

# 2. compute

try:
    opened = open_case(home, st.session_state.case, now=sample.records_now())
except AuditError as error:
    show_refusal(error)
    st.stop()

# 3. show

names = actions.list_names(signer)
show.show_claims(opened)
show.offer_files(opened, hidden=opened.list_hidden(names))
show.show_gate(opened)
show.show_limits(opened)
show.show_decisions(opened, names)
form.ask_decision(opened, signer)
