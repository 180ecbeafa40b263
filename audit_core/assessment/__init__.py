"""All questions about one circuit, and what speaks for and against it."""

from audit_core.assessment.balance import Balance, sort_findings
from audit_core.assessment.questions import Assessment

__all__ = [
    "Assessment",
    "Balance",
    "sort_findings",
]
