"""The mark of the sample organisation: set by the page that shows it, read by every file that leaves the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

_KEY = "sample_home"
WORDS = "sample organisation, not your records"


def mark_page(sample: Path | None) -> None:
    """Note the sample that this page shows; None for a page with records of this installation."""
    if sample is None:
        st.session_state.pop(_KEY, None)
    else:
        st.session_state[_KEY] = sample


def find_shown() -> Path | None:
    """Data directory of the sample that the page shows, or of the page whose button was pressed; None without it."""
    found: Path | None = st.session_state.get(_KEY)
    return found


def name_file(name: str) -> str:
    """Name of a file that leaves the page; it begins with "sample" where the page shows the sample."""
    return name if find_shown() is None else f"sample_{name}"


def mark_table(table: Any) -> Any:
    """The table of a file, with one more column where the page shows the sample."""
    return table if find_shown() is None else table.assign(source=WORDS)
