"""What changed since a person's last visit: events of the log about claims, evidence, decisions, findings and policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, list_events

CHANGES: Mapping[Action, str] = {
    Action.CLAIM_REGISTERED: "claim registered",
    Action.CLAIM_WITHDRAWN: "claim withdrawn",
    Action.CLAIM_STALE: "claim stale",
    Action.CLAIM_REVALIDATED: "claim tested again",
    Action.PREREG_AMENDED: "plan amended",
    Action.PREREG_DEVIATED: "plan deviated from",
    Action.QUESTION_FROZEN: "question frozen",
    Action.VERDICT_REACHED: "verdict reached",
    Action.RERUN_COMPARED: "rerun compared",
    Action.PACK_EXPORTED: "pack exported",
    Action.PACK_TAKEN: "pack put on the desk",
    Action.DECISION_MADE: "decision signed",
    Action.DECISION_REFUSED: "decision refused",
    Action.GATE_DECIDED: "gate evaluated",
    Action.WAIVER_GIVEN: "waiver given",
    Action.POLICY_SAVED: "policy saved",
    Action.POLICY_RETIRED: "policy out of force",
    Action.FINDING_RECORDED: "finding recorded",
    Action.FINDING_CHANGED: "finding changed",
    Action.FINDING_CLOSED: "finding closed",
    Action.FINDING_ACCEPTED: "finding accepted",
    Action.FINDING_REOPENED: "finding reopened",
    Action.MONITOR_ALARMED: "monitor alarm recorded",
}
"""Events that a reviewer reads, in words. Runs, sign-ins, keys and checkpoints are on the page of the audit log."""


@dataclass(frozen=True)
class PastChange:
    """One event since a visit."""

    at: str
    """RFC 3339, UTC."""
    what: str
    about: str
    """Id of the claim, pack, finding or policy."""
    by: str


def find_last_visit(home: Path, person: str) -> str | None:
    """Start of the person's sign-in before the present one, RFC 3339; None if this is the first.

    Args:
        person: id as in the log.
    """
    with open_database(home) as connection:
        visits = [one.ts for one in list_events(connection, action=Action.PERSON_SIGNED_IN) if one.actor == person]
    return visits[-2] if len(visits) > 1 else None


def list_changes(home: Path, since: str, *, without: str = "") -> tuple[PastChange, ...]:
    """List what changed after a time, the newest first.

    Args:
        since: a time of RFC 3339, or a date; UTC unless it names another zone.
        without: id of a person whose own changes are left out.
    """
    begun = _read_time(since)
    with open_database(home) as connection:
        events = list_events(connection)
    return tuple(
        PastChange(one.ts, CHANGES[Action(one.action)], one.object_id, one.actor)
        for one in reversed(events)
        if _read_time(one.ts) > begun and one.action in CHANGES and one.actor != without
    )


def _read_time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
