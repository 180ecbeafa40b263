"""Claims: one claim's verdict on one screen, its report, its plan and attempts; and a form to lock a new claim."""

import streamlit as st

from audit_core import AuditError
from audit_core.governance import Permission
from audit_core.home import read_claim_brief, read_claim_history
from audit_core.store import Register
from ui.claims import form, new_claim, show
from ui.flow import actions, sample
from ui.parts.claim_brief import show_brief, show_state
from ui.parts.header import plain
from ui.parts.refusal import show_refusal
from ui.shell import link

# 1. ask

link.seed((link.Field("claim", ""), link.Field("view", "")))
home = sample.open_records()
try:
    claims = {known.claim_id: known for known in reversed(Register(home).list_claims())}
except AuditError as error:
    st.title("Claims", anchor=False)
    show_refusal(error)
    st.stop()
if frozen := st.session_state.pop("frozen", ""):
    st.session_state.claim, st.session_state.view = frozen, ""
    st.success(f"{plain(frozen)} is locked. Its test prompts are still unused.", icon=":material/lock:")
can_write = actions.may(Permission.FREEZE)
if can_write and (st.session_state.view == "new" or not claims):
    new_claim.ask_claim(has_claims=bool(claims))
    st.stop()
head, chosen, new = st.columns([2, 6, 2], vertical_alignment="bottom")
head.title("Claims", anchor=False)
if not claims:
    show.show_none()
    st.stop()
link.repair("claim", show.order_claims(home, tuple(claims)))
chosen.selectbox("Claim", list(claims), key="claim", format_func=lambda key: show.describe_choice(claims[key]))
if can_write:
    new.button("New claim", key="new-claim", icon=":material/add:", on_click=new_claim.open_form)
link.publish({"claim": st.session_state.claim})

# 2. compute

try:
    history = read_claim_history(home, st.session_state.claim)
    brief = read_claim_brief(home, st.session_state.claim)
except AuditError as error:
    show_refusal(error)
    st.stop()

# 3. show

show.show_statement(history, brief)
state, decide = st.columns([4, 5], vertical_alignment="center")
with state:
    show_state(brief)
with decide:
    form.offer_decision(history)
show_brief(brief, "claim", others="in the tabs below")
form.name_next_step(history)
form.ask_attempt(history)
show.show_details(history, brief, form.ask_pack)
