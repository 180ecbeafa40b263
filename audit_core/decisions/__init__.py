"""Decisions about applicants: slots, tasks, and what is measured of them."""

from audit_core.decisions.fairness import DELTA
from audit_core.decisions.measurement import measure_decisions
from audit_core.decisions.recorded import RecordedDecisions, find_recorded
from audit_core.decisions.results import (
    DESCRIBES,
    DRAFT,
    ApplicantRow,
    DecisionsRequest,
    DecisionsResult,
    GroupRow,
    ReasonRow,
    ThroughRow,
)
from audit_core.decisions.shipped import FILE, NO, OUTCOME, PLANTED, SLOTS, TEMPLATE, YES, read_credit
from audit_core.decisions.slots import Change, Slot, parse_slots
from audit_core.decisions.table import Decider, DecisionTable, EstimatorDecider, fill_table
from audit_core.decisions.task import MAX_BYTES, DecisionTask, read_task
from audit_core.stats.disagreement import Conflict, ConflictKind

__all__ = [
    "DELTA",
    "DESCRIBES",
    "DRAFT",
    "FILE",
    "MAX_BYTES",
    "NO",
    "OUTCOME",
    "PLANTED",
    "SLOTS",
    "TEMPLATE",
    "YES",
    "ApplicantRow",
    "Change",
    "Conflict",
    "ConflictKind",
    "Decider",
    "DecisionTable",
    "DecisionTask",
    "DecisionsRequest",
    "DecisionsResult",
    "EstimatorDecider",
    "GroupRow",
    "ReasonRow",
    "RecordedDecisions",
    "Slot",
    "ThroughRow",
    "fill_table",
    "find_recorded",
    "measure_decisions",
    "parse_slots",
    "read_credit",
    "read_task",
]
