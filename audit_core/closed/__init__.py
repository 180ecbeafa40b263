"""Closed models: what their replies depend on, measured by edits of the text alone."""

from audit_core.closed.local import LocalReplies, open_replies
from audit_core.closed.results import (
    LIMIT,
    ClosedDocumentsRequest,
    ClosedDocumentsResult,
    ClosedToolsRequest,
    ClosedToolsResult,
)
from audit_core.closed.serving import ReplyServer
from audit_core.closed.subject import CLOSED, ClosedSubject

__all__ = [
    "CLOSED",
    "LIMIT",
    "ClosedDocumentsRequest",
    "ClosedDocumentsResult",
    "ClosedSubject",
    "ClosedToolsRequest",
    "ClosedToolsResult",
    "LocalReplies",
    "ReplyServer",
    "open_replies",
]
