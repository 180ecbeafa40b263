"""Lenses, on the page of all audits."""

from __future__ import annotations

from audit_core.lenses import LensesResult
from ui.lenses.show import show_panes


def show(found: LensesResult, place: str = "") -> None:
    """Show both panes."""
    show_panes(found, place)
