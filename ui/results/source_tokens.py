"""Source tokens of an encoder–decoder, on the page of all audits."""

from __future__ import annotations

from audit_core.audits import SourceTokensResult
from ui.source_tokens import show as source


def show(found: SourceTokensResult, place: str = "") -> None:
    """Show both figures, and the judged token."""
    source.show_answer(found)
    source.show_panes(found, "zero", place)
    source.show_judged(found, place)
