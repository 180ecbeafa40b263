"""Robustness of one claim, on the page of all audits."""

from __future__ import annotations

from audit_core.audits import RobustnessResult
from ui.robustness import show as robustness


def show(found: RobustnessResult, place: str = "") -> None:
    """Show the answer and both figures."""
    robustness.show_answer(found)
    robustness.show_effects(found, place)
    robustness.show_differences(found, place)
