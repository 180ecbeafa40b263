"""What leaves the product: canonical bytes, keys, signed statements, packs and their renderings."""

from audit_core.evidence.keys import list_people

__all__ = [
    "list_people",
]
