"""Forms of the review desk: choose the signing key, fill in a decision, confirm and sign it."""

from __future__ import annotations

import streamlit as st

from audit_core import AuditError
from audit_core.review import CaseFile, ReviewDecision
from ui.flow import actions, services, signing_key
from ui.parts.header import plain
from ui.parts.refusal import show_refusal
from ui.parts.sample_mark import find_shown

DECISIONS = {
    "approve": "approve",
    "approve_with_conditions": "approve with conditions",
    "reject": "reject",
}
READ = {
    "verdicts": "the sentence of each verdict, with its interval",
    "against": "the evidence against each claim",
    "limits": "what was not tested",
    "attempts": "every attempt, including those without a result",
    "report": "the whole report",
}
"""What a decider declares to have read; signed with the decision."""
MUST_READ = ("verdicts", "against", "limits")
UNMET = {
    "DOES_NOT_MEET": "The policy is not met.",
    "NOT_EVALUATED": "The policy is not met: some of its rows are not evaluated.",
    "INCONCLUSIVE": "The policy is not met: some of its rows are inconclusive.",
    "INTEGRITY_FAILED": "The policy is not met: a signature or file failed its check.",
}
_FIELDS = ("role", "decision", "conditions", "independence", "conflicts", *(f"read-{key}" for key in READ))
_FOR, _CONFIRM = "decision_for", "decision_to_confirm"
"""Session keys: the pack and signer that the form was filled in for, and the decision that waits for confirmation."""


def ask_viewer() -> str:
    """Name of the signing key: without sign-in any key of the data directory, else the person's own; empty if there is none."""
    people = actions.list_signers()
    signing_key.show_made()
    if not people:
        return ""
    if st.session_state.get("viewer") not in people:
        st.session_state.viewer = people[0]
    if services.person().is_local:
        st.selectbox(
            "You sign as", people, key="viewer",
            help="Without sign-in, any user of this page can use any key that has no passphrase.",
        )  # fmt: skip
        if find_shown() is None:
            with st.popover("Another key", icon=":material/key:", type="tertiary"):
                signing_key.ask_new_key("another")
    return str(st.session_state.viewer)


def ask_decision(opened: CaseFile, signer: str) -> None:
    """Form to sign a decision; refused and logged if preparer, reviewer and approver are not three different persons."""
    if (error := st.session_state.pop("refused_decision", None)) is not None:
        show_refusal(error)
    if (number := st.session_state.pop("decided", None)) is not None:
        st.success(f"Decision {number} is signed and in the log.", icon=":material/draw:")
    roles = [role for role, permission in actions.DECIDES.items() if actions.may(permission)]
    if not roles:
        return
    if not signer:
        st.header("Your decision", anchor=False)
        signing_key.ask_new_key("desk")
        return
    st.header("Your decision", anchor=False)
    _forget_other(opened.root_digest, signer)
    _warn_about_policy(opened)
    if st.session_state.get(_CONFIRM) is None:
        _fill_in(opened.root_digest, roles)
    else:
        _confirm(opened, signer, st.session_state[_CONFIRM])


def _forget_other(digest: str, signer: str) -> None:
    """Start with an empty form for another pack or signer."""
    if st.session_state.get(_FOR) != (digest, signer):
        for key in (*_FIELDS, _CONFIRM):
            st.session_state.pop(key, None)
        st.session_state[_FOR] = (digest, signer)
    for key in _FIELDS:
        # Streamlit forgets the value of a widget that one run does not draw.
        if key in st.session_state:
            st.session_state[key] = st.session_state[key]


def _warn_about_policy(opened: CaseFile) -> None:
    found = UNMET.get(opened.gate.overall)
    if found is not None:
        st.warning(f"{plain(found)} An approval is recorded all the same, with this result.", icon=":material/warning:")


def _fill_in(digest: str, roles: list[str]) -> None:
    # Enter in a field must not submit a decision.
    with st.form(f"decide-{digest}", border=True, enter_to_submit=False):
        left, right = st.columns(2)
        left.radio("You decide as", roles, key="role", horizontal=True, index=0 if len(roles) == 1 else None)
        right.radio("Decision", list(DECISIONS), key="decision", horizontal=True, format_func=DECISIONS.get, index=None)
        # Columns of their own, so that the keyboard reaches the fields in the order of reading.
        left, right = st.columns(2)
        left.markdown("**You have read** (the first three are required)")
        for key, words in READ.items():
            left.checkbox(plain(words), key=f"read-{key}")
        right.text_input(
            "Your relationship to the preparer (independence)", key="independence", max_chars=500, placeholder="another team, no part in the work"
        )  # fmt: skip
        right.text_area("Conditions, one per line", key="conditions", max_chars=2000, height=80)
        right.text_input("Conflicts of interest, if any", key="conflicts", max_chars=500)
        st.form_submit_button("Check my decision", icon=":material/fact_check:", on_click=_check)
    if missing := st.session_state.pop("decision_missing", ""):
        st.error(plain(missing), icon=":material/error:")


def _check() -> None:
    """Callback: keep the decision for confirmation, or say what is missing."""
    asked = st.session_state
    if missing := _find_missing():
        asked.decision_missing = missing
        return
    conditions = tuple(line.strip() for line in asked.conditions.splitlines() if line.strip())
    asked[_CONFIRM] = ReviewDecision(
        asked.role,
        asked.decision,
        asked.independence,
        conditions,
        asked.conflicts,
        tuple(words for key, words in READ.items() if asked[f"read-{key}"]),
    )


def _find_missing() -> str:
    asked = st.session_state
    if not asked.role or not asked.decision:
        what = "role" if not asked.role else "decision"
        return f"No {what} is chosen. Wanted: your own choice. What to do: choose one."
    if not all(asked[f"read-{key}"] for key in MUST_READ):
        return "Not everything required was read. Wanted: verdicts, evidence against, and what was not tested. What to do: read them above, then tick them."
    if not asked.independence.strip():
        return "No relationship to the preparer. Wanted: a few words. What to do: fill in the field."
    return ""


def _confirm(opened: CaseFile, signer: str, chosen: ReviewDecision) -> None:
    digest = opened.root_digest
    with st.container(border=True, key="confirm-decision"):
        st.markdown(
            f"**{plain(signer)}**, as **{plain(chosen.role)}**: **{plain(DECISIONS[chosen.decision])}** pack "
            f"{plain(digest[:12])}… with {plain(', '.join(claim.claim_id for claim in opened.claims))}."
        )
        st.markdown("A signature cannot be taken back. It covers exactly this file.")
        st.text_input("Passphrase of your key, if it has one", key="passphrase", type="password", max_chars=200)
        with st.container(horizontal=True):
            st.button(
                f"Sign this decision about {digest[:12]}…", key="sign", type="primary", icon=":material/draw:",
                on_click=_decide, args=(digest, chosen),
            )  # fmt: skip
            st.button("Change it", key="change-decision", icon=":material/edit:", on_click=_change)


def _change() -> None:
    st.session_state[_CONFIRM] = None


def _decide(digest: str, chosen: ReviewDecision) -> None:
    """Sign the decision about the digest that the confirmation was drawn for, even if another pack was chosen since."""
    asked = st.session_state
    passphrase, asked.passphrase = asked.passphrase, ""
    try:
        asked.decided = actions.decide_case(digest, chosen, asked.viewer, passphrase).number
    except AuditError as error:
        asked.refused_decision = error
    else:
        asked[_FOR] = None
