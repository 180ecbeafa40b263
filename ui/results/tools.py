"""Tools of a model, on the page of all audits."""

from __future__ import annotations

from audit_core.tools import ToolsResult
from ui.tools import show as tools


def show(found: ToolsResult, place: str = "") -> None:
    """Show the verdicts, and the two panes."""
    tools.show_answer(found, "causal")
    tools.show_panes(found, place)
