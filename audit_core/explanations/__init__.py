"""Explanations of answers by tokens: what attribution methods are given, and how their orders are tried."""

from audit_core.explanations.classes import UnitClass, classify_units
from audit_core.explanations.grades import WORDS, Grade, read_gain
from audit_core.explanations.masks import MOST_EXACT, SAMPLES, Masks, choose_masks
from audit_core.explanations.method import AttributionMethod, Scores, Task, make_task
from audit_core.explanations.replacing import Without, draw_donors, remove_units, replace_units
from audit_core.explanations.units import Unit, UnitKind, pool_positions, split_units
from audit_core.explanations.values import InputValues
from audit_core.stats.disagreement import ConflictKind

__all__ = [
    "MOST_EXACT",
    "SAMPLES",
    "WORDS",
    "AttributionMethod",
    "ConflictKind",
    "Grade",
    "InputValues",
    "Masks",
    "Scores",
    "Task",
    "Unit",
    "UnitClass",
    "UnitKind",
    "Without",
    "choose_masks",
    "classify_units",
    "draw_donors",
    "make_task",
    "pool_positions",
    "read_gain",
    "remove_units",
    "replace_units",
    "split_units",
]
