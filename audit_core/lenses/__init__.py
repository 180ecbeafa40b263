"""Lenses: what activations show through the unembedding, and apart from it, what replacing them does."""

from audit_core.lenses.measurement import count_work_of, measure_lenses
from audit_core.lenses.results import (
    DELTA,
    LensEffect,
    LensesRequest,
    LensesResult,
    LensLayer,
    LensPart,
    LensWriting,
    count_pairs,
)

__all__ = [
    "DELTA",
    "LensEffect",
    "LensLayer",
    "LensPart",
    "LensWriting",
    "LensesRequest",
    "LensesResult",
    "count_pairs",
    "count_work_of",
    "measure_lenses",
]
