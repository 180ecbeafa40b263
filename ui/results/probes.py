"""Probes of a label, on the page of all audits."""

from __future__ import annotations

from audit_core.probes import ProbesResult
from ui.probes.show import show_panes


def show(found: ProbesResult, place: str = "") -> None:
    """Show both panes."""
    show_panes(found, place)
