"""The pages and where they stand in the menu."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

_PAGES = Path(__file__).resolve().parents[1] / "pages"


def live_audit() -> Any:
    """Made anew at each run: Streamlit marks a page object while it runs, and sessions must not share the mark."""
    return st.Page(_PAGES / "live_audit.py", title="Live audit", icon=":material/experiment:", default=True)


def circuit() -> Any:
    """The circuit page, made anew likewise."""
    return st.Page(_PAGES / "circuit.py", title="Circuit", icon=":material/hub:")


def menu() -> dict[str, list[Any]]:
    """Headings of the menu, and the pages under each."""
    sweep = st.Page(_PAGES / "sweep.py", title="Sweep", icon=":material/grid_on:")
    calibration = st.Page(_PAGES / "calibration.py", title="Calibration", icon=":material/straighten:")
    claims = st.Page(_PAGES / "claims.py", title="Claims", icon=":material/gavel:")
    log = st.Page(_PAGES / "audit_log.py", title="Audit log", icon=":material/list_alt:")
    overview = st.Page(_PAGES / "overview.py", title="Overview", icon=":material/dashboard:")
    return {
        "Explore": [live_audit(), sweep, circuit(), calibration],
        "Govern": [claims, log],
        "Lead": [overview],
    }
