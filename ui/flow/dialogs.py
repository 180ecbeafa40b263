"""The open dialog: Streamlit shows one at a time, and a rerun of the page must not close it."""

from __future__ import annotations

import streamlit as st

_OPEN = "open_dialog"
"""Session key: the name of the open dialog."""


def open_dialog(name: str) -> None:
    """Callback of the button that opens a dialog; it replaces the one that was open."""
    st.session_state[_OPEN] = name


def is_open(name: str) -> bool:
    """Whether this dialog is open."""
    return bool(st.session_state.get(_OPEN) == name)


def close_dialog() -> None:
    """Forget the open dialog; also the callback of its dismissal."""
    st.session_state.pop(_OPEN, None)
