"""Policies: the thresholds in words, what they would decide on the desk's packs, changes, and versions."""

from functools import partial

import streamlit as st

from audit_core import AuditError, audit_home
from audit_core.governance import compare_policies, parse_policy
from audit_core.policy_choice import list_policy_choices, load_policy_choice
from audit_core.review import try_policy
from audit_core.store import list_policies
from ui.flow import sample
from ui.parts.refusal import show_refusal
from ui.parts.tabs import lazy_tabs
from ui.policies import amend, draft, form, retire, show
from ui.policies.trial import read_packs
from ui.shell import link

# 1. ask

link.seed((link.Field("policy", ""),))
draft.keep_fields()
st.title("Policies", anchor=False)
records = sample.open_records()
form.show_outcome()
try:
    choices = {one.key: one for one in list_policy_choices(audit_home())}
    versions = list_policies(audit_home())
except AuditError as error:
    show_refusal(error)
    st.stop()
labels = {key: one.label for key, one in choices.items()}
if form.BROUGHT in st.session_state:
    labels[form.BROUGHT] = "not saved yet"
if (following := st.session_state.pop("policy_next", None)) is not None:
    st.session_state.policy = following
link.repair("policy", tuple(labels))
left, right = st.columns([4, 1], vertical_alignment="bottom")
left.selectbox("Policy", list(labels), key="policy", format_func=lambda key: labels[key])
with right:
    form.bring_file()
chosen = st.session_state.policy
link.publish({"policy": "" if chosen == form.BROUGHT else chosen}, is_shared=False)

# 2. compute

try:
    is_brought = chosen == form.BROUGHT
    base = (
        parse_policy(st.session_state[form.BROUGHT], "policy.toml")
        if is_brought
        else load_policy_choice(audit_home(), chosen)
    )
    newest = {one.policy_id: one for one in versions}
    known = newest.get(base.id)
    reference = base if not is_brought else load_policy_choice(audit_home(), known.sha256 if known else "")
    now = sample.records_now()
    packs = read_packs(records)
    policy = base
    try:
        policy = draft.read_draft(base)
    except AuditError as error:
        show_refusal(error)
    changes = compare_policies(reference, policy)
    tried = try_policy(packs, reference, policy, now=now)
except AuditError as error:
    show_refusal(error)
    st.stop()

# 3. show

show.show_answer(policy, tried, changes)
show.show_trial(tried, now)
rows = show.list_claim_rows(tried)
lazy_tabs(
    {
        "Thresholds": partial(form.ask_thresholds, base, policy, rows),
        "People and waivers": partial(form.ask_people, base),
        "Save": partial(form.ask_save, base, policy, newest),
        "Changes": partial(show.show_changes, changes, reference.id),
        "Versions": partial(retire.show_versions, versions),
        "Claims": partial(amend.show_claims, policy, policy.sha256 == base.sha256 and not is_brought, versions),
        "File": partial(show.show_file, policy),
    },
    key="policy-tab",
)
