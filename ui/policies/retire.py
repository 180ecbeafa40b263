"""Every saved version of a policy, and the form that takes one out of force."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from audit_core import AuditError, make_table
from audit_core.governance import PERMISSIONS, Permission
from audit_core.store import SavedPolicy
from ui.flow import actions, services
from ui.parts.header import plain, show_table, table_with_csv
from ui.policies import act, form

COLUMNS = ("policy", "version", "when, UTC", "by", "why", "stricter", "laxer", "out of force since", "SHA-256")


def show_versions(versions: Sequence[SavedPolicy]) -> None:
    """Show every saved version, the newest first, and offer to retire those in force."""
    if not versions:
        st.markdown("No policy is saved yet. The example of this project applies until an approver saves one.")
        return
    rows = [_list_values(one) for one in reversed(versions)]
    table_with_csv(lambda: make_table(COLUMNS, rows), "Versions", "policy-versions")
    show_table(make_table(COLUMNS, rows), key="versions-shown")
    for one in versions:
        if one.retired is not None:
            day = one.retired.at[:10]
            st.markdown(
                f"{plain(one.policy_id)}, version {one.version}: out of force since {day}, by {plain(one.retired.by)}. {plain(one.retired.reason)}"
            )
    in_force = {one.sha256: one for one in reversed(versions) if one.retired is None}
    if in_force:
        _ask_retirement(in_force)


def _list_values(one: SavedPolicy) -> tuple[str | int, ...]:
    out = "" if one.retired is None else one.retired.at[:10]
    at = one.at[:19].replace("T", " ")
    return one.policy_id, one.version, at, one.by, one.reason, one.stricter, one.laxer, out, one.sha256[:16]


def _ask_retirement(in_force: dict[str, SavedPolicy]) -> None:
    """Nothing is deleted: claims and questions that are locked under the version keep it."""
    if not actions.may(Permission.SET_POLICY):
        roles = " or ".join(sorted(role.value for role in PERMISSIONS[Permission.SET_POLICY]))
        st.info(f"A version is taken out of force by a person with the role {roles}.", icon=":material/info:")
        return
    with st.expander("Take a version out of force", icon=":material/block:"):
        st.markdown("New claims and questions cannot be locked under it. What is locked under it keeps it.")
        if st.session_state.get("policy_retired") not in in_force:
            st.session_state.policy_retired = next(iter(in_force))
        st.selectbox(
            "Version", list(in_force), key="policy_retired",
            format_func=lambda key: f"{in_force[key].policy_id}, version {in_force[key].version}",
        )  # fmt: skip
        if services.person().is_local:
            st.text_input("Your name", key="policy_retired_by", max_chars=80)
        st.text_area("Why it is out of force", key="policy_retired_reason", max_chars=2000, height=80)
        st.button("Take it out of force", key="policy-retire", icon=":material/block:", on_click=_retire, args=(in_force,))  # fmt: skip


def _retire(in_force: dict[str, SavedPolicy]) -> None:
    asked = st.session_state
    try:
        chosen = in_force[asked.policy_retired]
        found = act.retire_policy(chosen, asked.policy_retired_reason, asked.get("policy_retired_by", ""))
    except AuditError as error:
        form.report(error)
        return
    asked.pop("policy_retired_reason", None)
    form.report(f"{found.policy_id}, version {found.version}, is out of force. What is locked under it keeps it.")
