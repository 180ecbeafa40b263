"""Attention statistics and tests: observational, and not used by verdicts."""

from audit_core.attention.agreement import Agreement
from audit_core.attention.pattern_test import PatternFinding, PatternTest
from audit_core.attention.plausibility import Source, list_sources
from audit_core.attention.randomisation import Dependence, Randomisation, ViewRandomised

__all__ = [
    "Agreement",
    "Dependence",
    "PatternFinding",
    "PatternTest",
    "Randomisation",
    "Source",
    "ViewRandomised",
    "list_sources",
]
