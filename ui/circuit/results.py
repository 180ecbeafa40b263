"""Results that are about another circuit than the named one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from audit_core import Component
from audit_core.audits import StabilityResult
from ui.parts.header import plain


def note_different_circuit(found: Any, components: Sequence[Component]) -> None:
    """Warn that the search finds a different set: its stability is no evidence for the named circuit."""
    if isinstance(found, StabilityResult) and set(found.found) != set(map(str, components)):
        st.warning(
            f"The search finds a different set: {plain(', '.join(found.found))}. "
            "Its selection frequency is no evidence for the circuit named here.",
            icon=":material/compare:",
        )
