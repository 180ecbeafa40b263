"""Heads of an encoder–decoder, on the page of all audits."""

from __future__ import annotations

from audit_core.audits import BothSidesResult
from ui.source_tokens import show as source


def show(found: BothSidesResult, place: str = "") -> None:
    """Show attention and effects of the heads on both sides."""
    source.show_heads(found, place)
