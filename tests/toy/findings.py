"""A toy pack with one finding about C-0001: recorded, changed and closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from toy.packs import AT, Story, build_files, seal, tell_story

from audit_core.evidence.canonical import hash_document
from audit_core.verifier.findings import fold_finding
from audit_core.verifier.schemas_findings import FINDINGS_MEMBER

RECORDED = {
    "severity": "high", "days": 30, "title": "Null not drawn", "finding": "The random baseline was not drawn.",
    "remediation": "Draw it.", "owner": "bela", "due": "2026-12-21", "status": "open", "model": "toy", "claims": ["C-0001"],
    "runs": [], "basis": "Criterion random_baseline: not evaluated", "policy_sha256": "3" * 64,
}  # fmt: skip
STEPS = (
    ("recorded", RECORDED, ""),
    ("changed", {"status": "in_remediation"}, "begun"),
    ("closed", {"status": "closed"}, "it is drawn"),
)


def make_history(steps: Any = STEPS) -> list[dict[str, Any]]:
    return [
        {"finding_id": "F-0001", "version": at, "at": AT, "by": "anna", "step": step, "reason": reason, "fields": dict(fields)}
        for at, (step, fields, reason) in enumerate(steps, 1)
    ]  # fmt: skip


def make_finding(steps: Any = STEPS) -> dict[str, Any]:
    history = make_history(steps)
    return {"finding_id": "F-0001", "state": fold_finding(history), "history": history}


def tell_finding(story: Story, finding: Mapping[str, Any] | None = None) -> None:
    """Put a finding into a pack, with its events and the count in the export's event."""
    one = make_finding() if finding is None else finding
    events = [
        (f"finding.{row['step']}", one["finding_id"], {"claims": ["C-0001"], "row_sha256": hash_document(row)}, True)
        for row in one["history"]
    ]
    story.events[-1:-1] = events
    story.events[-1][2]["findings"] = {one["finding_id"]: len(one["history"])}
    story.documents[FINDINGS_MEMBER] = [one]


def retell_finding(change: Callable[[Story], object] = lambda story: None) -> dict[str, bytes]:
    """A sealed pack with the finding, after a change of the story."""
    story = tell_story()
    tell_finding(story)
    change(story)
    return seal(build_files(story))
