"""Evidence that leaves the product: canonical JSON, keys, signed statements, packs and their reports."""

from audit_core.evidence.keys import list_people
from audit_core.evidence.report.blocks import Line, spell
from audit_core.evidence.report.brief import READING, SHOWN, UNTESTED_SHOWN, Brief

__all__ = [
    "READING",
    "SHOWN",
    "UNTESTED_SHOWN",
    "Brief",
    "Line",
    "list_people",
    "spell",
]
