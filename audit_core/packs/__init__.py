"""Evidence packs: export, scan for sensitive content, withhold and open prompts, rerun."""

from audit_core.packs.pack import ExportOptions, export_pack

__all__ = [
    "ExportOptions",
    "export_pack",
]
