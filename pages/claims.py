"""Claims: the preregistered plan, every attempt, the findings, and the evidence pack."""

import streamlit as st

from audit_core import AuditError
from audit_core.governance import Permission
from audit_core.home import read_claim_history
from audit_core.store import Register
from ui.claims import form, show
from ui.flow import actions, answers, sample
from ui.parts.header import plain
from ui.shell import link

# 1. ask

link.seed((link.Field("claim", ""),))
st.title("Claims", anchor=False)
st.markdown(
    "Freezing fixes a claim with digests of model, prompts, policy and code, before its split is opened. "
    "The log numbers every attempt, and every pack discloses them all."
)
home = sample.open_records()
try:
    claims = {known.claim_id: known for known in reversed(Register(home).list_claims())}
except AuditError as error:
    answers.show_refusal(error)
    st.stop()
if frozen := st.session_state.pop("frozen", ""):
    st.session_state.claim = frozen
    st.success(f"{plain(frozen)} is frozen.", icon=":material/lock:")
if actions.may(Permission.FREEZE):
    with st.expander("Freeze a claim", icon=":material/lock:", expanded=not claims):
        form.ask_freeze()
if not claims:
    show.show_none()
    st.stop()
link.repair("claim", tuple(claims))
st.selectbox("Claim", list(claims), key="claim", format_func=lambda key: show.describe_choice(claims[key]))
link.publish({"claim": st.session_state.claim})

# 2. compute

try:
    history = read_claim_history(home, st.session_state.claim)
except AuditError as error:
    answers.show_refusal(error)
    st.stop()

# 3. show

show.show_plan(history)
show.show_attempts(history)
form.ask_attempt(history)
show.show_findings(history)
form.ask_pack(history)
form.offer_page(history)
