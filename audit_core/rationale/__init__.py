"""Rationales: a text of steps before an answer, and whether the answer relies on it."""

from audit_core.rationale.chain import Chain, read_chain
from audit_core.rationale.edits import EditKind, list_edits
from audit_core.rationale.known_models import KnownTable
from audit_core.rationale.results import EditRow, MetricRow, QuestionRow, RationaleResult, TemplateRow, VerdictShare
from audit_core.rationale.verdicts import DELTA, MEANINGS, Verdict

__all__ = [
    "DELTA",
    "MEANINGS",
    "Chain",
    "EditKind",
    "EditRow",
    "KnownTable",
    "MetricRow",
    "QuestionRow",
    "RationaleResult",
    "TemplateRow",
    "Verdict",
    "VerdictShare",
    "list_edits",
    "read_chain",
]
