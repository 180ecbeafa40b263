"""The open dialog: Streamlit shows one at a time, and a rerun of the page must not close it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

_OPEN = "open_dialog"
"""Session key: the name of the open dialog."""


def offer_dialog(name: str, label: str, show: Callable[[], None], *, icon: str) -> None:
    """Show the button that opens a dialog, and the dialog while it is open; for any place on a page.

    Args:
        name: key of the button; a page's dialogs have different names.
        show: a function decorated with `st.dialog`.
    """
    st.button(label, key=name, icon=icon, on_click=_open, args=(name,))
    if st.session_state.get(_OPEN) == name:
        show()


def _open(name: str) -> None:
    st.session_state[_OPEN] = name


def close_dialog() -> None:
    """Forget the open dialog; also the callback of its dismissal."""
    st.session_state.pop(_OPEN, None)
