"""Features of a dictionary, on the page of all audits."""

from __future__ import annotations

from audit_core.features import FeaturesResult
from ui.features.show import show_panes


def show(found: FeaturesResult, place: str = "") -> None:
    """Show both panes."""
    show_panes(found, place)
