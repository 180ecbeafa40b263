"""Evidence that leaves the product: canonical JSON, keys, signed statements, packs and their reports."""

from audit_core.evidence.keys import list_people
from audit_core.evidence.report.blocks import Line, spell
from audit_core.evidence.report.brief import READING, SHOWN, Brief

__all__ = [
    "READING",
    "SHOWN",
    "Brief",
    "Line",
    "list_people",
    "spell",
]
