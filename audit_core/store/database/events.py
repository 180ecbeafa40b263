"""Events of the audit log: appended in the transaction of their change, each with the previous event's hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from audit_core.errors import IntegrityError, StoreRefused
from audit_core.evidence.canonical import dump_canonical
from audit_core.verifier.log_entry import ENTRY_VERSION, GENESIS, BadEntry, hash_entry, read_entry
from audit_core.verifier.merkle import hash_leaf

if TYPE_CHECKING:
    import duckdb

TENANT = "local"
LOG_ACTOR = "audit log"
"""Actor of events that the log itself appends."""
MAX_NAME = 400
"""Maximum characters of an actor or an object's id."""
MAX_BODY_BYTES = 32 << 10
"""Maximum size of an event, which contains digests and ids only."""
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class Action(StrEnum):
    """Kind of an event."""

    RUN_STARTED = "run.started"
    RUN_ENDED = "run.ended"
    RUN_REFUSED = "run.refused"
    CLAIM_REGISTERED = "claim.registered"
    CLAIM_WITHDRAWN = "claim.withdrawn"
    CLAIM_STALE = "claim.stale"
    CLAIM_REVALIDATED = "claim.revalidated"
    PREREG_FROZEN = "prereg.frozen"
    PREREG_AMENDED = "prereg.amended"
    PREREG_DEVIATED = "prereg.deviated"
    HALF_OPENED = "half.opened"
    QUESTION_FROZEN = "question.frozen"
    VERDICT_REACHED = "verdict.reached"
    RERUN_COMPARED = "rerun.compared"
    PACK_EXPORTED = "pack.exported"
    PACK_REFUSED = "pack.refused"
    OPENINGS_WRITTEN = "openings.written"
    CARD_CLAIM_ADDED = "card_claim.added"
    CARD_CLAIM_LINKED = "card_claim.linked"
    PACK_TAKEN = "pack.taken"
    DECISION_MADE = "decision.made"
    DECISION_REFUSED = "decision.refused"
    GATE_DECIDED = "gate.decided"
    WAIVER_GIVEN = "waiver.given"
    POLICY_SAVED = "policy.saved"
    POLICY_RETIRED = "policy.retired"
    MODEL_SIGNATURE_CHECKED = "model_signature.checked"
    CHECKLIST_SAVED = "checklist.saved"
    FINDING_RECORDED = "finding.recorded"
    FINDING_CHANGED = "finding.changed"
    FINDING_CLOSED = "finding.closed"
    FINDING_ACCEPTED = "finding.accepted"
    FINDING_REOPENED = "finding.reopened"
    DICTIONARY_ADDED = "dictionary.added"
    FEATURE_LABELLED = "feature.labelled"
    MONITOR_ALARMED = "monitor.alarmed"
    KEY_MADE = "key.made"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    PERSON_SIGNED_IN = "person.signed_in"
    PERSON_SIGNED_OUT = "person.signed_out"
    PERSON_REFUSED = "person.refused"
    PERSON_DISABLED = "person.disabled"
    PERSON_ENABLED = "person.enabled"
    TOKEN_MADE = "token.made"
    TOKEN_REVOKED = "token.revoked"
    CHECKPOINT_ANCHORED = "checkpoint.anchored"
    CHECKPOINT_REFUSED = "checkpoint.refused"
    LOG_VERIFIED = "log.verified"
    LOG_RESTARTED = "log.restarted"
    CLOCK_WENT_BACK = "clock.went_back"


@dataclass(frozen=True)
class AuditEvent:
    """One stored event."""

    log_id: str
    seq: int
    ts: str
    """RFC 3339, UTC, microseconds."""
    tenant: str
    actor: str
    action: str
    object_id: str
    payload: Mapping[str, Any]
    prev: str
    body: str
    """The canonical JSON that is hashed; all fields above are read from it."""
    entry: str
    leaf: str
    """Leaf hash in the Merkle tree, hexadecimal."""


_LOG_IDS: WeakKeyDictionary[duckdb.DuckDBPyConnection, str] = WeakKeyDictionary()
"""Log id by connection, which serves one transaction: a log's id never changes, and each function here asks for it."""
_INSERT = "INSERT INTO audit_event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_LAST = "SELECT seq, ts, entry FROM audit_event WHERE log_id = ? ORDER BY seq DESC LIMIT 1"
_SELECT = """
SELECT body, entry, leaf FROM audit_event
WHERE log_id = ? AND seq >= ? AND (? IS NULL OR object_id = ?)
    AND (?::VARCHAR[] IS NULL OR list_contains(?::VARCHAR[], action)) ORDER BY seq
"""


def append_event(
    connection: duckdb.DuckDBPyConnection, *, actor: str, action: Action, object_id: str, payload: Mapping[str, Any]
) -> AuditEvent:
    """Append one event in the caller's transaction, atomically with the change that it records.

    If the clock is behind the last event's time, an additional event records that; events are not reordered.

    Args:
        payload: digests and ids only: no prompt text, results, tokens or environment variables. Integers of 2^53 and more as text.

    Raises:
        StoreRefused: names or payload too large.
        Refused: a value that canonical JSON cannot represent.
    """
    log_id, now = find_log_id(connection), read_clock()
    last = connection.execute(_LAST, [log_id]).fetchone()
    seq, prev = (0, GENESIS) if last is None else (last[0] + 1, last[2])
    if last is not None and now < last[1]:
        reported = _build(
            log_id, seq, now, (LOG_ACTOR, Action.CLOCK_WENT_BACK, str(last[0])), {"from": last[1], "to": now}, prev
        )
        _insert(connection, reported)
        seq, prev = seq + 1, reported.entry
    event = _build(log_id, seq, now, (actor, action, object_id), payload, prev)
    _insert(connection, event)
    return event


def list_events(
    connection: duckdb.DuckDBPyConnection,
    *,
    object_id: str | None = None,
    action: Action | Sequence[Action] | None = None,
    start: int = 0,
) -> tuple[AuditEvent, ...]:
    """List events in order, from a sequence number on; optionally of one object, or of one action or several.

    Raises:
        IntegrityError: a stored body is not an event; `verify_log` names it.
    """
    actions = [action] if isinstance(action, str) else None if action is None else list(action)
    named = [object_id, object_id, actions, actions]
    rows = connection.execute(_SELECT, [find_log_id(connection), start, *named]).fetchall()
    try:
        return tuple(_read(*row) for row in rows)
    except BadEntry as error:
        raise IntegrityError(f"An event of the log cannot be read: {error}. `log verify` names it.") from error


def find_log_id(connection: duckdb.DuckDBPyConnection) -> str:
    """Read the id of this log.

    Raises:
        IntegrityError: the file contains no log id, or several.
    """
    if connection not in _LOG_IDS:
        rows = connection.execute("SELECT log_id FROM audit_log").fetchall()
        if len(rows) != 1:
            raise IntegrityError(f"The file contains {len(rows)} log ids instead of one.")
        _LOG_IDS[connection] = str(rows[0][0])
    return _LOG_IDS[connection]


def read_clock() -> str:
    return datetime.now(UTC).strftime(_TIME)


def parse_time(text: str) -> datetime:
    """Parse the time of an event.

    Raises:
        ValueError: not in the format of `read_clock`.
    """
    moment = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    if moment.strftime(_TIME) != text:
        raise ValueError(f"{text[:40]!r} is not an event's time")
    return moment


def _build(
    log_id: str, seq: int, ts: str, named: tuple[str, Action, str], payload: Mapping[str, Any], prev: str
) -> AuditEvent:
    actor, action, object_id = named
    if not actor or max(len(actor), len(object_id)) > MAX_NAME:
        raise StoreRefused(
            f"The actor {actor[:40]!r} or object {object_id[:40]!r} of an event is empty or too long.",
            wanted=f"names of 1 to {MAX_NAME} characters.",
            remedy="use ids as names.",
        )
    record = {
        "v": ENTRY_VERSION, "log_id": log_id, "seq": seq, "ts": ts, "tenant": TENANT, "actor": actor,
        "action": Action(action).value, "object_id": object_id, "payload": dict(payload), "prev": prev,
    }  # fmt: skip
    body = dump_canonical(record)
    if len(body) > MAX_BODY_BYTES:
        raise StoreRefused(
            f"An event of {len(body):,} bytes.",
            wanted=f"at most {MAX_BODY_BYTES:,}.",
            remedy="store large content elsewhere, and log its digest.",
        )
    return _read(body.decode(), hash_entry(body), hash_leaf(body).hex())


@lru_cache(maxsize=100_000)
def _read(body: str, entry: str, leaf: str) -> AuditEvent:
    # Parsed from the body, so that columns and body agree after normalization.
    record = read_entry(body.encode())
    return AuditEvent(**{name: record[name] for name in record if name != "v"}, body=body, entry=entry, leaf=leaf)


def _insert(connection: duckdb.DuckDBPyConnection, event: AuditEvent) -> None:
    row = [event.log_id, event.seq, event.ts, event.tenant, event.actor, event.action, event.object_id]
    connection.execute(_INSERT, [*row, event.body, event.prev, event.entry, event.leaf])
