"""Documents of a reader, on the page of all audits."""

from __future__ import annotations

from audit_core.documents import DocumentsResult
from ui.documents import show as documents


def show(found: DocumentsResult, place: str = "") -> None:
    """Show the first question, and the counts of labels."""
    documents.show_answer(found, found.questions[0])
    documents.show_panes(found.questions[0], place)
    documents.show_labels(found)
