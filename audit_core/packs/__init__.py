"""Evidence packs: export, answers that a pack may contain, scan for sensitive content, withhold and open prompts, rerun."""

from audit_core.packs.answers import list_answers
from audit_core.packs.pack import ExportOptions, export_pack

__all__ = [
    "ExportOptions",
    "export_pack",
    "list_answers",
]
