"""The list of people, and the buttons to disable and re-enable access."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from audit_core import AuditError, make_table
from audit_core.store import KnownPerson
from ui.flow import actions
from ui.parts.header import plain, show_table, table_with_csv
from ui.parts.refusal import show_refusal

_COLUMNS = ("name", "roles", "state", "first seen, UTC", "last sign-in, UTC", "reason of the last change", "id")


def show_people(people: Sequence[KnownPerson]) -> None:
    """Show one row per person."""
    rows = [
        (
            one.name, one.roles or "none", "disabled" if one.is_disabled else "may sign in", one.first_seen[:19], one.last_signed_in[:19],
            one.reason, one.id,
        )
        for one in people
    ]  # fmt: skip
    show_table(make_table(_COLUMNS, rows), key="people")
    table_with_csv(lambda: make_table(_COLUMNS, rows), "People", "people-csv")


def ask_change(others: Sequence[KnownPerson]) -> None:
    """Form to disable or re-enable a person's access, with a reason."""
    st.header("Disable or re-enable access", anchor=False)
    if error := st.session_state.pop("people_refused", None):
        show_refusal(error)
    if reported := st.session_state.pop("people_told", ""):
        st.success(plain(reported), icon=":material/check:")
    if not others:
        st.markdown("No other person has signed in yet.")
        return
    names = {one.id: f"{one.name} ({'disabled' if one.is_disabled else 'may sign in'}): {one.id}" for one in others}
    if st.session_state.get("person") not in names:
        st.session_state.person = others[0].id
    st.selectbox("Person", list(names), key="person", format_func=names.get)
    st.text_input("Reason", key="person_reason", max_chars=400, placeholder="left the team")
    chosen = next(one for one in others if one.id == st.session_state.person)
    if chosen.is_disabled:
        st.button(
            "Re-enable access", key="enable", icon=":material/lock_open:", on_click=_change, args=(actions.enable,)
        )
    else:
        st.button("Disable access", key="disable", icon=":material/block:", on_click=_change, args=(actions.disable,))


def _change(action: Callable[[str, str], None]) -> None:
    """Run the action before the page is drawn, so that the list shows its result."""
    asked = st.session_state
    try:
        action(asked.person, asked.person_reason)
    except AuditError as error:
        asked.people_refused = error
    else:
        asked.people_told, asked.person_reason = "Done and logged.", ""
