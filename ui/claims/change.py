"""Form on a claim's page that changes its locked plan, or withdraws the claim."""

from __future__ import annotations

import streamlit as st

from audit_core import AuditError, audit_home, get_plugin
from audit_core.circuits import list_claim_questions
from audit_core.governance import Permission
from audit_core.home import ClaimHistory
from audit_core.policy_choice import list_policy_choices
from audit_core.preregistration import ChangeKind
from audit_core.store import RegisteredClaim
from ui.claims import act
from ui.flow import actions, services
from ui.parts.header import plain
from ui.parts.refusal import show_refusal

_REFUSED, _DONE = "change_refused", "change_done"
KINDS = {
    ChangeKind.ERROR: "an error in the plan",
    ChangeKind.FEASIBILITY: "it cannot be done as planned",
    ChangeKind.SCOPE: "another scope",
    ChangeKind.OTHER: "another reason",
}
"""Kinds of reasons, in words."""
_KEEP = "as locked"


def offer_change(history: ClaimHistory) -> None:
    """Show what the last change did, and the two forms; closed until they are opened."""
    if done := st.session_state.pop(_DONE, ""):
        st.success(plain(done), icon=":material/check:")
    if (error := st.session_state.pop(_REFUSED, None)) is not None:
        show_refusal(error)
    if history.claim.withdrawn:
        return
    if actions.may(Permission.AMEND):
        box = st.expander("Change this plan", icon=":material/edit_note:", key="amend-plan", on_change="rerun")
        if box.open:
            with box:
                _ask_change(history)
    if actions.may(Permission.WITHDRAW):
        box = st.expander("Withdraw this claim", icon=":material/block:", key="withdraw-claim", on_change="rerun")
        if box.open:
            with box:
                _ask_withdrawal(history)


def _ask_change(history: ClaimHistory) -> None:
    plan, place = history.claim.plan, f"amend:{history.claim.claim_id}:{history.claim.plan.version}"
    st.markdown(
        "The log keeps both versions. If results on the test prompts were seen, the change is a **deviation**: later runs are exploratory "
        "and meet no policy. Else it is an amendment."
    )
    left, right = st.columns(2)
    # A claim file may have a threshold beyond what a person would type here.
    now = 100 * plan.claim.delta
    left.number_input(
        "Smallest effect that matters, in % of the gap", min(0.1, now), max(200.0, now), value=now, step=1.0, format="%g", key=f"{place}:delta",
    )  # fmt: skip
    policies = {"": _KEEP} | {one.key: one.label for one in list_policy_choices(audit_home())}
    right.selectbox("Policy", list(policies), format_func=lambda key: policies[key], key=f"{place}:policy")
    st.multiselect(
        "Further checks in the same run", list_claim_questions(), list(plan.questions), key=f"{place}:asks",
        format_func=lambda name: get_plugin("audits", name).question,
    )  # fmt: skip
    left, right = st.columns([1, 2])
    left.selectbox(
        "Kind of reason", list(KINDS), len(KINDS) - 1, format_func=lambda one: KINDS[one], key=f"{place}:kind"
    )
    right.text_input("Why", key=f"{place}:reason", max_chars=2000)
    if services.person().is_local:
        st.text_input("Your name", key=f"{place}:by", max_chars=80)
    st.button(
        "Lock the changed plan", key="amend-press", icon=":material/lock:", on_click=_amend, args=(history.claim, place)
    )


def _amend(known: RegisteredClaim, place: str) -> None:
    # Read here: a press right after typing arrives with the arguments of the run before.
    asked, plan = st.session_state, known.plan
    percent, asks = asked[f"{place}:delta"], tuple(asked[f"{place}:asks"])
    change = act.PlanChange(
        None if percent == 100 * plan.claim.delta else percent / 100,
        None if asks == plan.questions else asks,
        asked[f"{place}:policy"] or None,
    )
    try:
        plan = act.amend_plan(
            known.claim_id, change, asked[f"{place}:reason"], asked[f"{place}:kind"], asked.get(f"{place}:by", "")
        )
    except AuditError as error:
        asked[_REFUSED] = error
        return
    what = "a deviation: its runs are exploratory" if plan.is_exploratory else "an amendment"
    asked[_DONE] = f"{known.claim_id}, version {plan.version}, is locked: {what}."


def _ask_withdrawal(history: ClaimHistory) -> None:
    place = f"withdraw:{history.claim.claim_id}"
    st.markdown("It stays in the register and in the log. No later run of it is confirmatory.")
    st.text_input("Why", key=f"{place}:reason", max_chars=2000)
    if services.person().is_local:
        st.text_input("Your name", key=f"{place}:by", max_chars=80)
    st.button(
        "Withdraw it", key="withdraw-press", icon=":material/block:", on_click=_withdraw,
        args=(history.claim.claim_id, place),
    )  # fmt: skip


def _withdraw(claim_id: str, place: str) -> None:
    asked = st.session_state
    try:
        act.withdraw_claim(claim_id, asked[f"{place}:reason"], asked.get(f"{place}:by", ""))
    except AuditError as error:
        asked[_REFUSED] = error
        return
    asked[_DONE] = f"{claim_id} is withdrawn and stays in the register."
