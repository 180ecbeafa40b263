"""Probes of a label: where it can be decoded, and apart from it, where the answer relies on it."""

from audit_core.probes.measurement import MAX_TEXTS, MIN_DRAWS, count_work_of, measure_probes
from audit_core.probes.results import (
    DELTA,
    LabelSource,
    Position,
    ProbesFile,
    ProbeSite,
    ProbesRequest,
    ProbesResult,
    ProbeVerdict,
)
from audit_core.probes.shipped import SHIPPED, read_shipped

__all__ = [
    "DELTA",
    "MAX_TEXTS",
    "MIN_DRAWS",
    "SHIPPED",
    "LabelSource",
    "Position",
    "ProbeSite",
    "ProbeVerdict",
    "ProbesFile",
    "ProbesRequest",
    "ProbesResult",
    "count_work_of",
    "measure_probes",
    "read_shipped",
]
