"""Assessment of one circuit: all its audits, their quick form, recorded answers, and the evidence for and against it."""

from audit_core.assessment.balance import Balance, sort_findings
from audit_core.assessment.questions import Assessment, state_claim
from audit_core.assessment.quick import (
    QUICK_METHOD,
    QUICK_PROMPTS,
    ask_quickly,
    has_quick_form,
    take_quick,
)
from audit_core.assessment.recorded import RecordedAnswer, RecordedCircuit, list_recorded

__all__ = [
    "QUICK_METHOD",
    "QUICK_PROMPTS",
    "Assessment",
    "Balance",
    "RecordedAnswer",
    "RecordedCircuit",
    "ask_quickly",
    "has_quick_form",
    "list_recorded",
    "sort_findings",
    "state_claim",
    "take_quick",
]
