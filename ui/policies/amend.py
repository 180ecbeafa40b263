"""Claims that are locked under another policy, and the form that amends one of their plans to the policy chosen on the page."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from audit_core import AuditError, audit_home, make_table
from audit_core.governance import PERMISSIONS, Permission, Policy
from audit_core.shipped import load_shipped_policy
from audit_core.store import Register, RegisteredClaim, SavedPolicy
from ui.claims import act
from ui.claims.change import KINDS
from ui.flow import actions, services
from ui.parts.header import counted, plain, show_table
from ui.policies import form

COLUMNS = ("claim", "name", "plan", "locked under", "SHA-256 of its policy")


def show_claims(policy: Policy, is_saved: bool, versions: Sequence[SavedPolicy]) -> None:
    """Show under which policy each active claim is locked, and offer to amend those under another one."""
    claims = [one for one in Register(audit_home()).list_claims() if not one.withdrawn]
    if not claims:
        st.markdown(
            "No claim is locked. Lock one on *Claims*: it is listed here with the policy that it was locked under."
        )
        return
    names = {load_shipped_policy().sha256: f"{load_shipped_policy().id} (example of this project)"}
    names |= {one.sha256: f"{one.policy_id}, version {one.version}" for one in versions}
    others = {one.claim_id: one for one in claims if one.plan.pins.policy_sha256 != policy.sha256}
    st.markdown(
        f"{counted(len(claims), 'claim')}, of them {len(claims) - len(others)} locked under {plain(policy.id)} as chosen above."
    )
    rows = [_list_values(one, names) for one in claims]
    show_table(make_table(COLUMNS, rows), key="policy-claims")
    if not is_saved:
        st.info("A plan can be amended to a saved policy only. Save this one first.", icon=":material/info:")
    elif others:
        _ask_amendment(policy, others)


def _list_values(one: RegisteredClaim, names: dict[str, str]) -> tuple[str | int, ...]:
    digest = one.plan.pins.policy_sha256
    return one.claim_id, one.plan.claim.name, one.plan.version, names.get(digest, "a policy that is not kept here"), digest[:16]  # fmt: skip


def _ask_amendment(policy: Policy, others: dict[str, RegisteredClaim]) -> None:
    """The register decides whether it is an amendment or a deviation: by what was seen, not by what is said."""
    if not actions.may(Permission.AMEND):
        roles = " or ".join(sorted(role.value for role in PERMISSIONS[Permission.AMEND]))
        st.info(f"A plan is amended by a person with the role {roles}.", icon=":material/info:")
        return
    with st.expander("Amend a plan to this policy", icon=":material/edit_note:"):
        st.markdown(
            "The log keeps both versions of the plan. If results on the test prompts were seen, the change is a **deviation**: later runs "
            "are exploratory and meet no policy. Else it is an amendment."
        )
        if st.session_state.get("policy_claim") not in others:
            st.session_state.policy_claim = next(iter(others))
        left, right = st.columns(2)
        left.selectbox(
            "Claim", list(others), key="policy_claim", format_func=lambda key: f"{key} {plain(others[key].plan.claim.name)}"
        )  # fmt: skip
        right.selectbox("Kind of reason", list(KINDS), len(KINDS) - 1, key="policy_amend_kind", format_func=KINDS.get)  # type: ignore[arg-type]
        if services.person().is_local:
            st.text_input("Your name", key="policy_amend_by", max_chars=80)
        st.text_area("Why the plan changes", key="policy_amend_reason", max_chars=2000, height=80)
        st.button("Lock the changed plan", key="policy-amend", icon=":material/lock:", on_click=_amend, args=(policy,))


def _amend(policy: Policy) -> None:
    asked = st.session_state
    try:
        plan = act.amend_plan(
            asked.policy_claim, act.PlanChange(policy=_name_choice(policy)), asked.policy_amend_reason, asked.policy_amend_kind,
            asked.get("policy_amend_by", ""),
        )  # fmt: skip
    except AuditError as error:
        form.report(error)
        return
    asked.pop("policy_amend_reason", None)
    what = "a deviation: its runs are exploratory" if plan.is_exploratory else "an amendment"
    form.report(f"{plan.claim_id}, version {plan.version}, is locked under {policy.id}: {what}.")


def _name_choice(policy: Policy) -> str:
    return policy.id if policy.sha256 == load_shipped_policy().sha256 else policy.sha256
