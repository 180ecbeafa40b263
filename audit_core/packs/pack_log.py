"""The log's part of a pack: the export event, the disclosed events, and proofs of inclusion in the signed log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audit_core.errors import Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.merkle_proofs import prove_consistency, prove_inclusion
from audit_core.store.claims.register import RegisteredClaim
from audit_core.store.database.checkpoints import find_checkpoint
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, append_event, list_events
from audit_core.store.findings.finding import RegisteredFinding
from audit_core.store.findings.rows import ACTIONS, read_findings


def log_export(
    home: Path, pack_id: str, claims: Sequence[RegisteredClaim], person: str, more: Mapping[str, Any]
) -> tuple[tuple[AuditEvent, ...], str, tuple[RegisteredFinding, ...]]:
    """Log the export, and return all events up to it, the checkpoint over them, and the findings about these claims.

    The event names the number of changes of each finding, so that no copy of the pack can leave one out unnoticed.

    Args:
        more: further fields of the export's event.
    """
    with open_database(home) as connection:
        before = list_events(connection)
        counts = {
            known.claim_id: sum(
                event.action == Action.RUN_STARTED and event.payload["claim_id"] == known.claim_id for event in before
            )
            for known in claims
        }
        if untested := [claim_id for claim_id, number in counts.items() if not number]:
            raise Refused(
                f"{untested[0]} has no attempt.",
                wanted="a claim with an attempt.",
                remedy=f"run it: `run {untested[0]}`.",
            )
        findings = tuple(one for one in read_findings(connection) if not set(counts).isdisjoint(one.claims))
        changes = {"findings": {one.finding_id: one.version for one in findings}} if findings else {}
        reported = (
            dict(more) | changes | {"claims": {claim_id: {"attempts": number} for claim_id, number in counts.items()}}
        )
        last = append_event(connection, actor=person, action=Action.PACK_EXPORTED, object_id=pack_id, payload=reported)
        events = list_events(connection)
    with open_database(home) as connection:
        signed = find_checkpoint(connection, size=last.seq + 1)
    assert signed is not None, "an export is always followed by a checkpoint"
    return events, signed.note, findings


def choose_events(
    events: Sequence[AuditEvent], claims: Sequence[RegisteredClaim], pack_id: str, answers: Sequence[str] = ()
) -> tuple[AuditEvent, ...]:
    """Events about these claims, their plans, runs and findings, these answers and their questions, the export, and the first of the log.

    Others are hashes only.
    """
    names = {known.claim_id for known in claims}
    own = {*names, *answers, *(known.plan.prereg_id for known in claims), pack_id}
    own |= {event.object_id for event in events if event.payload.get("claim_id") in names}
    own |= _find_questions(events, answers)
    kinds = set(ACTIONS.values())
    own |= {event.object_id for event in events if event.action in kinds and names & set(event.payload["claims"])}
    # The first entry is where the log begins.
    return tuple(event for event in events if event.object_id in own or event.seq == 0)


def _find_questions(events: Sequence[AuditEvent], answers: Sequence[str]) -> set[str]:
    """Ids of the frozen questions that these runs answer."""
    keys = {
        event.payload["content_key"]
        for event in events
        if event.action == Action.RUN_STARTED and event.object_id in answers
    }
    frozen = (event for event in events if event.action == Action.QUESTION_FROZEN)
    return {event.object_id for event in frozen if event.payload["content_key"] in keys}


def write_log(events: Sequence[AuditEvent], shown: Sequence[AuditEvent], note: str) -> dict[str, bytes]:
    leaves = [bytes.fromhex(event.leaf) for event in events]
    rows = [
        {"seq": event.seq, "leaf": event.leaf, "proof": [node.hex() for node in prove_inclusion(event.seq, leaves)]}
        for event in shown
    ]
    return {
        "log/entries.jsonl": b"".join(event.body.encode() + b"\n" for event in shown),
        "log/inclusion.json": dump_canonical(rows),
        "log/checkpoint.txt": note.encode(),
        "log/consistency.json": dump_canonical(_prove_growth(events, leaves)),
    }


def _prove_growth(events: Sequence[AuditEvent], leaves: Sequence[bytes]) -> dict[str, Any] | None:
    """Proof that this log continues the checkpoint of the pack before; None for the first pack.

    An export that was refused left no pack, so that no reader has its checkpoint.
    """
    refused = {event.object_id for event in events if event.action == Action.PACK_REFUSED}
    exported = [event for event in events[:-1] if event.action == Action.PACK_EXPORTED]
    sizes = [event.seq + 1 for event in exported if event.object_id not in refused]
    if not sizes:
        return None
    proof = [node.hex() for node in prove_consistency(sizes[-1], leaves)]
    return {"from_size": sizes[-1], "to_size": len(leaves), "proof": proof}
