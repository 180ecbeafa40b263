"""Evidence that leaves the product: canonical JSON, keys, signed statements, packs and their reports."""

from audit_core.evidence.keys import list_people

__all__ = [
    "list_people",
]
