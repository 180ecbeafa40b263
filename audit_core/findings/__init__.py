"""Findings above the register: suggestions to record one from, severities of its policy, and notices of what is due."""

from audit_core.findings.calendar import write_calendar
from audit_core.findings.feed import write_feed
from audit_core.findings.notices import Notice, NoticeKind, list_notices
from audit_core.findings.since import PastChange, find_last_visit, list_changes
from audit_core.findings.suggested import SuggestedFinding, find_rules, list_suggestions

__all__ = [
    "Notice",
    "NoticeKind",
    "PastChange",
    "SuggestedFinding",
    "find_last_visit",
    "find_rules",
    "list_changes",
    "list_notices",
    "list_suggestions",
    "write_calendar",
    "write_feed",
]
