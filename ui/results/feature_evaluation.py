"""Evaluation of a dictionary, on the page of all audits."""

from __future__ import annotations

from audit_core.features import DictionaryEvaluation
from ui.features.evaluation import show_result


def show(found: DictionaryEvaluation, place: str = "") -> None:
    """Show the sentence, the figures and the numbers."""
    show_result(found, place=place)
