"""Features in two versions, on the page of all audits."""

from __future__ import annotations

from audit_core.features import FiringDifference
from ui.features.versions import show_result


def show(found: FiringDifference, place: str = "") -> None:
    """Show the sentence, the figures and the numbers."""
    show_result(found, place=place)
