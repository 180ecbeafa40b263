"""Bring a pack: put it on the desk, or read one that can no longer be decided here."""

from __future__ import annotations

import streamlit as st

from audit_core import AuditError
from audit_core.errors import PackDecided
from audit_core.governance import Permission
from audit_core.review import PackReading
from audit_core.shipped import list_example_packs, load_example_pack
from ui.desk import show
from ui.flow import actions
from ui.parts.header import plain
from ui.parts.refusal import show_refusal

_READ = "read_only_pack"
EXAMPLES = "A script made these packs from a model with known wiring, with temporary keys. They carry its decision, so they are for reading only."


def ask_pack() -> None:
    """Form to upload a pack, or to read a shipped example."""
    with st.expander("Add or read a pack", icon=":material/upload_file:"):
        if actions.may(Permission.EXPORT_PACK):
            st.file_uploader("Evidence pack, as the Claims page or `pack` wrote it", type="zip", key="brought")
            st.button(
                "Put it on the desk", key="take", on_click=_take, disabled=st.session_state.get("brought") is None
            )
        st.markdown(plain(EXAMPLES))
        with st.container(horizontal=True):
            for name in list_example_packs():
                st.button(plain(f"Read {name}"), key=f"example-{name}", icon=":material/menu_book:", on_click=_read_example, args=(name,))  # fmt: skip
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
    except PackDecided:
        st.session_state[_READ] = data
    except AuditError as error:
        st.session_state.not_taken = error
    else:
        st.session_state.taken = st.session_state.case = pack.root_digest


def _take() -> None:
    brought = st.session_state.brought
    if brought is not None:
        put_on_desk(brought.getvalue())


def _read_example(name: str) -> None:
    st.session_state[_READ] = load_example_pack(name)


def _close() -> None:
    st.session_state.pop(_READ, None)


def show_read_only() -> bool:
    """Show the pack that is open for reading only; returns whether there is one."""
    data = st.session_state.get(_READ)
    if data is None:
        return False
    try:
        opened: PackReading = actions.read_only(data)
    except AuditError as error:
        show_refusal(error)
        st.session_state.pop(_READ, None)
        return False
    st.warning(
        "This pack already carries a decision, so it can be read here and not decided. "
        "To decide about it, upload the version before any decision.",
        icon=":material/lock:",
    )
    st.button("Close this pack", key="close-read-only", icon=":material/close:", on_click=_close)
    show.offer_files(opened)
    show.show_signers(opened)
    show.show_claims(opened)
    show.show_gate(opened)
    show.show_limits(opened)
    return True
