"""Render a report as JSON: the sections of HTML and PDF as plain text, without their layout."""

from __future__ import annotations

import json
from typing import Any

from audit_core.evidence.report.blocks import (
    Balance,
    Block,
    Bullets,
    Facts,
    Figure,
    Finding,
    Heading,
    Paragraph,
    Report,
    Side,
    Table,
    spell,
)

SCHEMA = "assay/report/1"


def write_json(report: Report) -> bytes:
    """Return a report as JSON; numbers are text with unit and interval, as on the page."""
    document = {
        "schema": SCHEMA,
        "kind": report.kind,
        "title": spell(report.title),
        "made_at": report.made_at,
        "seal": {"label": report.seal.label, "digest": report.seal.digest},
        "facts": _describe(report.facts),
        "sections": [
            {"number": at, "key": one.key, "title": one.title, "blocks": [_describe(block) for block in one.blocks]}
            for at, one in enumerate(report.sections, 1)
        ],
    }
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def _describe(block: Block) -> dict[str, Any]:
    match block:
        case Paragraph() | Heading():
            return {"type": type(block).__name__.lower(), "text": spell(block.line)}
        case Bullets():
            return {"type": "bullets", "items": [spell(item) for item in block.items]}
        case Facts():
            return {"type": "facts", "rows": [{"name": name, "value": spell(value)} for name, value in block.rows]}
        case Table():
            rows = [[spell(value) for value in row] for row in block.rows]
            return {"type": "table", "caption": block.caption, "columns": list(block.columns), "rows": rows}
        case Figure():
            title, table = spell(block.title), _describe(block.table)
            return {
                "type": "figure",
                "title": title,
                "evidence": block.badge.value,
                "reading": block.reading,
                "table": table,
            }
        case Finding():
            return {"type": "result", "words": block.words, "text": spell(block.line)}
        case Balance():
            return {"type": "balance", "for": _describe_side(block.pro), "against": _describe_side(block.contra)}


def _describe_side(side: Side) -> dict[str, Any]:
    return {"title": side.title, "items": [spell(item) for item in side.items] or [side.empty]}
