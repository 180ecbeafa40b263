"""Review desk: packs that wait for a second and a third person, what speaks for and against, and a signed decision."""

from datetime import UTC, datetime

import streamlit as st

from audit_core import AuditError, audit_home, list_cases, open_case
from ui import deeds, desk_ask, desk_show, link, live_steps

# 1. ask

link.seed((link.Field("case", ""),))
st.title("Review desk", anchor=False)
st.markdown(
    "A pack leaves with three persons' signatures: who prepared it, who reviewed it, who approved it. Each decides once, about the very bytes "
    "that lie here."
)
desk_ask.ask_pack()
try:
    cases = {case.pack.root_digest: case for case in list_cases(audit_home())}
except AuditError as error:
    live_steps.show_refusal(error)
    st.stop()
if not cases:
    desk_show.show_none()
    st.stop()
desk_show.show_agreement(tuple(cases.values()))
link.repair("case", tuple(cases))
st.selectbox("Pack", list(cases), key="case", format_func=lambda key: desk_show.describe_choice(cases[key]))
link.publish({"case": st.session_state.case})
signer = desk_ask.ask_viewer()

# 2. compute

try:
    opened = open_case(audit_home(), st.session_state.case, now=datetime.now(UTC))
except AuditError as error:
    live_steps.show_refusal(error)
    st.stop()

# 3. show

desk_show.show_claims(opened)
desk_show.show_gate(opened)
desk_show.show_limits(opened)
desk_show.show_decisions(opened, deeds.list_names(signer))
desk_ask.ask_decision(opened, signer)
desk_show.offer_files(opened)
