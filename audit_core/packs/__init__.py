"""Evidence packs: written, scanned, opened to an auditor, run again."""

from audit_core.packs.pack import ExportOptions, export_pack

__all__ = [
    "ExportOptions",
    "export_pack",
]
