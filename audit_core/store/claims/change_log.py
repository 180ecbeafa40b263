"""The change log: every trigger that made a claim stale, until a later verdict answers it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit_core.errors import ClaimRefused, IntegrityError
from audit_core.evidence.canonical import hash_document
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, append_event, list_events, read_clock
from audit_core.store.findings.reopening import reopen_findings
from audit_core.trigger import Change, Trigger, TriggerKind, VerdictFacts

if TYPE_CHECKING:
    import duckdb

MAX_REASON = 2_000
_ROWS = "SELECT number, body FROM claim_stale ORDER BY number"
_COUNT = "SELECT count(*) FROM claim_stale"
_INSERT = "INSERT INTO claim_stale VALUES (?, ?, ?)"
_IDENTITIES = "SELECT run_id, identity FROM runs WHERE run_id IN (SELECT unnest(?))"
_PLANS = "SELECT digest, body FROM preregistration"
_CLAIM = (
    "SELECT (SELECT count(*) FROM claim WHERE claim_id = ?), (SELECT count(*) FROM claim_withdrawn WHERE claim_id = ?)"
)


@dataclass(frozen=True)
class StaleRow:
    """One row of the change log, with the run that answered it."""

    number: int
    trigger: Trigger
    answered_by: str
    """Run of the answering verdict; empty while the trigger is open."""
    answered_at: str

    @property
    def is_open(self) -> bool:
        return not self.answered_by


def record_changes(
    home: Path, claim_id: str, changes: Sequence[Change], *, held_for: str, by: str
) -> tuple[Trigger, ...]:
    """Record new triggers, each with its event in the same transaction; open triggers are not recorded again.

    A new trigger also reopens the resolved findings about the claim, see `reopen_findings`.

    Returns:
        The new triggers.

    Raises:
        ClaimRefused: no such claim, or it is withdrawn.
    """
    with open_database(home) as connection:
        _refuse_unknown(connection, claim_id)
        known = {row.trigger.change for row in read_stale(connection, claim_id) if row.is_open}
        new = [change for change in dict.fromkeys(changes) if change not in known]
        return tuple(_insert(connection, claim_id, change, held_for, by) for change in new)


def declare_incident(home: Path, claim_id: str, *, held_for: str, by: str, reason: str) -> Trigger:
    """Record an incident, reported by a person, that makes the claim stale.

    Raises:
        ClaimRefused: no such claim, it is withdrawn, or no reason.
    """
    if not 0 < len(reason.strip()) <= MAX_REASON:
        raise ClaimRefused(
            "The reason is empty." if not reason.strip() else f"The reason has {len(reason):,} characters.",
            wanted=f"what happened, in 1 to {MAX_REASON:,} characters.",
            remedy="describe it; the change log records the text.",
        )
    with open_database(home) as connection:
        _refuse_unknown(connection, claim_id)
        change = Change(TriggerKind.INCIDENT, "", "", reason.strip())
        return _insert(connection, claim_id, change, held_for, by)


def list_stale(home: Path, claim_id: str | None = None) -> tuple[StaleRow, ...]:
    """Rows of the change log, oldest first; optionally of one claim.

    Raises:
        IntegrityError: a row differs from its event, or is missing.
    """
    with open_database(home) as connection:
        return read_stale(connection, claim_id)


def read_stale(connection: duckdb.DuckDBPyConnection, claim_id: str | None = None) -> tuple[StaleRow, ...]:
    """As `list_stale`, in the caller's transaction."""
    events = list_events(connection)
    reported = [event for event in events if event.action == Action.CLAIM_STALE]
    rows = connection.execute(_ROWS).fetchall()
    if [event.payload["row_sha256"] for event in reported] != [hash_document(json.loads(body)) for _, body in rows]:
        raise IntegrityError(
            f"The {len(rows)} rows of the change log differ from the {len(reported)} in the audit log. "
            "What to do: run `log verify`, and restore the file from a backup."
        )
    facts = _read_facts(connection, events) if rows else {}
    found = []
    for (number, body), event in zip(rows, reported, strict=True):
        trigger = Trigger(**{**json.loads(body), "kind": TriggerKind(json.loads(body)["kind"])})
        if claim_id is not None and trigger.claim_id != claim_id:
            continue
        later = [one for seq, one in facts.get(trigger.claim_id, []) if seq > event.seq and one.answers(trigger)]
        found.append(StaleRow(number, trigger, later[0].run_id if later else "", later[0].at if later else ""))
    return tuple(found)


def _insert(connection: duckdb.DuckDBPyConnection, claim_id: str, change: Change, held_for: str, by: str) -> Trigger:
    trigger = Trigger(claim_id, change.kind, change.before, change.after, held_for, change.reason, by, read_clock())
    body = trigger.to_json()
    row = connection.execute(_COUNT).fetchone()
    number = 1 + int(row[0] if row else 0)
    connection.execute(_INSERT, [number, claim_id, json.dumps(body, ensure_ascii=False)])
    payload = {
        "claim_id": claim_id, "kind": change.kind.value, "before": change.before, "after": change.after,
        "row_sha256": hash_document(body),
    }  # fmt: skip
    append_event(connection, actor=by, action=Action.CLAIM_STALE, object_id=claim_id, payload=payload)
    reopen_findings(connection, trigger, number=number)
    return trigger


def _read_facts(
    connection: duckdb.DuckDBPyConnection, events: Sequence[AuditEvent]
) -> Mapping[str, list[tuple[int, VerdictFacts]]]:
    """Claim id → its verdicts with model, plan and policy, each after the sequence number of its run's start."""
    starts = {event.object_id: event for event in events if event.action == Action.RUN_STARTED}
    verdicts = [event for event in events if event.action == Action.VERDICT_REACHED and event.object_id in starts]
    runs = [event.object_id for event in verdicts]
    identities: dict[str, Any] = {
        run: json.loads(text) for run, text in connection.execute(_IDENTITIES, [runs]).fetchall()
    }
    policies = {
        digest: json.loads(body)["pins"]["policy_sha256"] for digest, body in connection.execute(_PLANS).fetchall()
    }
    found: dict[str, list[tuple[int, VerdictFacts]]] = {}
    for event in verdicts:
        start = starts[event.object_id]
        facts = VerdictFacts(
            event.object_id,
            event.ts,
            str(start.payload["model_digest"]),
            str(start.payload["prompts_sha256"]),
            policies.get(str(start.payload["prereg_digest"]), ""),
            identities.get(event.object_id, {}).get("versions", {}),
        )
        found.setdefault(str(event.payload["claim_id"]), []).append((start.seq, facts))
    return found


def _refuse_unknown(connection: duckdb.DuckDBPyConnection, claim_id: str) -> None:
    row = connection.execute(_CLAIM, [claim_id, claim_id]).fetchone()
    if row is None or not row[0] or row[1]:
        raise ClaimRefused(
            f"{claim_id[:40]!r} is {'withdrawn' if row and row[1] else 'not in this register'}.",
            wanted="an active claim.",
            remedy="list them: `claims`.",
        )
