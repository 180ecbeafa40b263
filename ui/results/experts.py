"""Experts of a mixture, on the page of all audits."""

from __future__ import annotations

from audit_core.audits import ExpertsResult
from ui.experts import show as experts


def show(found: ExpertsResult, place: str = "") -> None:
    """Show both maps, and what masking each expert does."""
    experts.show_answer(found)
    experts.show_panes(found)
    experts.show_split(found)
