"""An error of the library on a page."""

from __future__ import annotations

import streamlit as st

from audit_core import AuditError
from ui.parts.header import plain


def show_refusal(error: AuditError) -> None:
    """Show what was found, what was wanted and what to do."""
    st.error(plain(str(error)), icon=":material/error:")
