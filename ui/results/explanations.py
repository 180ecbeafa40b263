"""Explanations, on the page of all audits."""

from __future__ import annotations

from audit_core.audits import ExplanationsResult
from ui.explanations import show as explanations


def show(found: ExplanationsResult, place: str = "") -> None:
    """Show the strips of a prompt, the grades, and the curves."""
    explanations.show_answer(found)
    explanations.show_panes(found, place)
    explanations.show_grades(found, place)
    explanations.show_curves(found, "replaced", place)
    explanations.show_classes(found, place)
