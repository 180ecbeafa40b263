"""Steering of a model, on the page of all audits."""

from __future__ import annotations

from audit_core.steering import SteeringResult
from ui.steering.show import show_answer, show_result


def show(found: SteeringResult, place: str = "") -> None:
    """Show the verdicts and everything that was measured."""
    show_answer(found, "causal")
    show_result(found, place)
