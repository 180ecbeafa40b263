"""Assessment of one circuit: all its audits, and the evidence for and against it."""

from audit_core.assessment.balance import Balance, sort_findings
from audit_core.assessment.questions import Assessment

__all__ = [
    "Assessment",
    "Balance",
    "sort_findings",
]
