"""Forms of the review desk: add a pack, choose the signing key, decide."""

from __future__ import annotations

import streamlit as st

from audit_core import AuditError
from audit_core.governance import Permission
from audit_core.review import CaseFile, ReviewDecision
from ui.flow import actions, services
from ui.flow.answers import show_refusal
from ui.parts.header import plain

DECISIONS = {
    "approve": "approve",
    "approve_with_conditions": "approve with conditions",
    "reject": "reject",
}
READ = {
    "verdicts": "the sentence of each verdict, with its interval",
    "against": "the evidence against each claim",
    "attempts": "every attempt, including those without a result",
    "limits": "what was not shown",
    "report": "the whole report",
}
"""What a decider declares to have read; signed with the decision."""


def ask_pack() -> None:
    """Form to upload a pack."""
    if actions.may(Permission.EXPORT_PACK):
        with st.expander("Add a pack", icon=":material/upload_file:"):
            st.file_uploader("Evidence pack, as `pack` wrote it", type="zip", key="brought")
            st.button(
                "Put it on the desk", key="take", on_click=_take, disabled=st.session_state.get("brought") is None
            )
    show_taken()


def show_taken() -> None:
    """Show the outcome of adding a pack."""
    if "taken" in st.session_state:
        st.success(f"On the desk: {plain(st.session_state.pop('taken')[:16])}…", icon=":material/inventory_2:")
    if (error := st.session_state.pop("not_taken", None)) is not None:
        show_refusal(error)


def put_on_desk(data: bytes) -> None:
    """Add a pack and open its case; a refusal is shown at the next run."""
    try:
        pack = actions.take_to_desk(data)
    except AuditError as error:
        st.session_state.not_taken = error
    else:
        st.session_state.taken = st.session_state.case = pack.root_digest


def _take() -> None:
    brought = st.session_state.brought
    if brought is not None:
        put_on_desk(brought.getvalue())


def ask_viewer() -> str:
    """Name of the signing key: without sign-in any key of the data directory, else the person's own; empty if there is none."""
    people = actions.list_signers()
    if not people:
        return ""
    if st.session_state.get("viewer") not in people:
        st.session_state.viewer = people[0]
    if services.person().is_local:
        st.selectbox(
            "You sign as", people, key="viewer",
            help="Without sign-in, any user of this page can use any key that has no passphrase.",
        )  # fmt: skip
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
        st.info(
            "To decide, you need a signing key of your own: `python -m audit_core keys make NAME`. "
            "With sign-in, people.toml must also list it under [keys].",
            icon=":material/key:",
        )
        return
    digest = opened.case.pack.root_digest
    # Enter in a field must not sign, because a signature cannot be revoked.
    with st.form(f"decide-{digest}", border=True, enter_to_submit=False):
        left, right = st.columns(2)
        left.radio("You decide as", roles, key="role", horizontal=True)
        right.radio("Decision", list(DECISIONS), key="decision", format_func=DECISIONS.get)
        st.text_area("Conditions, one per line", key="conditions", max_chars=2000, height=80)
        st.text_input(
            "Your relationship to the preparer (independence)", key="independence", max_chars=500, placeholder="another team, no part in the work"
        )  # fmt: skip
        st.text_input("Conflicts of interest, if any", key="conflicts", max_chars=500)
        st.multiselect("You have read", list(READ), key="read", format_func=READ.get)
        st.text_input("Passphrase of your key, if it has one", key="passphrase", type="password", max_chars=200)
        st.form_submit_button(
            f"Sign this decision about {digest[:12]}…", icon=":material/draw:", on_click=_decide, args=(digest,)
        )


def _decide(digest: str) -> None:
    """Decide on the digest that the form was drawn for, even if another pack was chosen since."""
    asked = st.session_state
    conditions = tuple(line.strip() for line in asked.conditions.splitlines() if line.strip())
    review_decision = ReviewDecision(
        asked.role,
        asked.decision,
        asked.independence,
        conditions,
        asked.conflicts,
        tuple(READ[one] for one in asked.read),
    )
    passphrase, asked.passphrase = asked.passphrase, ""
    try:
        st.session_state.decided = actions.decide_case(digest, review_decision, asked.viewer, passphrase).number
    except AuditError as error:
        st.session_state.refused_decision = error
