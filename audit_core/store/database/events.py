"""The audit log's events: appended in the transaction of what they tell of, each naming the hash of the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from audit_core.errors import IntegrityError, StoreRefused
from audit_core.evidence.canonical import dump_canonical
from audit_core.verifier.log_entry import ENTRY_VERSION, GENESIS, BadEntry, hash_entry, read_entry
from audit_core.verifier.merkle import hash_leaf

if TYPE_CHECKING:
    import duckdb

TENANT = "local"
LOG_ACTOR = "audit log"
"""Who speaks where the log speaks of itself."""
MAX_NAME = 400
"""Characters of an actor or an object's id."""
MAX_BODY_BYTES = 32 << 10
"""An event holds digests and ids; whatever is larger does not belong into one."""
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class Action(StrEnum):
    """What an event tells of."""

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
    VERDICT_REACHED = "verdict.reached"
    RERUN_COMPARED = "rerun.compared"
    PACK_EXPORTED = "pack.exported"
    PACK_REFUSED = "pack.refused"
    CARD_CLAIM_ADDED = "card_claim.added"
    CARD_CLAIM_LINKED = "card_claim.linked"
    PACK_TAKEN = "pack.taken"
    DECISION_MADE = "decision.made"
    DECISION_REFUSED = "decision.refused"
    GATE_DECIDED = "gate.decided"
    WAIVER_GIVEN = "waiver.given"
    CHECKLIST_SAVED = "checklist.saved"
    KEY_MADE = "key.made"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    PERSON_SIGNED_IN = "person.signed_in"
    PERSON_SIGNED_OUT = "person.signed_out"
    PERSON_REFUSED = "person.refused"
    PERSON_DISABLED = "person.disabled"
    PERSON_ENABLED = "person.enabled"
    CHECKPOINT_ANCHORED = "checkpoint.anchored"
    LOG_VERIFIED = "log.verified"
    LOG_RESTARTED = "log.restarted"
    CLOCK_WENT_BACK = "clock.went_back"


@dataclass(frozen=True)
class AuditEvent:
    """One event as it is stored."""

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
    """The canonical JSON that is hashed; everything above is read from it."""
    entry: str
    leaf: str
    """Leaf hash in the Merkle tree, hexadecimal."""


_INSERT = "INSERT INTO audit_event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_LAST = "SELECT seq, ts, entry FROM audit_event WHERE log_id = ? ORDER BY seq DESC LIMIT 1"
_SELECT = """
SELECT body, entry, leaf FROM audit_event
WHERE log_id = ? AND seq >= ? AND (? IS NULL OR object_id = ?) AND (? IS NULL OR action = ?) ORDER BY seq
"""


def append_event(
    connection: duckdb.DuckDBPyConnection, *, actor: str, action: Action, object_id: str, payload: Mapping[str, Any]
) -> AuditEvent:
    """Add one event inside the caller's transaction; the change it tells of stands or falls with it.

    A clock that shows an earlier time than the last event's is told of by an event of its own, and nothing is reordered.

    Args:
        payload: digests and ids only: no prompt text, results, tokens or environment variables. Integers of 2^53 and more as text.

    Raises:
        StoreRefused: names or payload too large.
        Refused: a value that canonical JSON has no form for.
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
    action: Action | None = None,
    start: int = 0,
) -> tuple[AuditEvent, ...]:
    """Events in their order, from a sequence number on; of one object or action unless None.

    Raises:
        IntegrityError: a stored body is no event; `verify_log` says which.
    """
    named = [object_id, object_id, action, action]
    rows = connection.execute(_SELECT, [find_log_id(connection), start, *named]).fetchall()
    try:
        return tuple(_read(*row) for row in rows)
    except BadEntry as error:
        raise IntegrityError(f"An event of the log cannot be read: {error}. `log verify` says which.") from error


def find_log_id(connection: duckdb.DuckDBPyConnection) -> str:
    """Name of this log.

    Raises:
        IntegrityError: the file names no log, or two.
    """
    rows = connection.execute("SELECT log_id FROM audit_log").fetchall()
    if len(rows) != 1:
        raise IntegrityError(f"The file names {len(rows)} logs and must name one.")
    return str(rows[0][0])


def read_clock() -> str:
    return datetime.now(UTC).strftime(_TIME)


def parse_time(text: str) -> datetime:
    """Time of an event.

    Raises:
        ValueError: written in any other way than ours.
    """
    moment = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    if moment.strftime(_TIME) != text:
        raise ValueError(f"{text[:40]!r} is no time of an event")
    return moment


def _build(
    log_id: str, seq: int, ts: str, named: tuple[str, Action, str], payload: Mapping[str, Any], prev: str
) -> AuditEvent:
    actor, action, object_id = named
    if not actor or max(len(actor), len(object_id)) > MAX_NAME:
        raise StoreRefused(
            f"An event by {actor[:40]!r} about {object_id[:40]!r}.",
            wanted=f"names of 1 to {MAX_NAME} characters.",
            remedy="name things by id.",
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
            remedy="name large things by their digest.",
        )
    return _read(body.decode(), hash_entry(body), hash_leaf(body).hex())


@lru_cache(maxsize=100_000)
def _read(body: str, entry: str, leaf: str) -> AuditEvent:
    # Read back from the bytes: the columns must be what the body says after normalisation, not what was passed in.
    record = read_entry(body.encode())
    return AuditEvent(**{name: record[name] for name in record if name != "v"}, body=body, entry=entry, leaf=leaf)


def _insert(connection: duckdb.DuckDBPyConnection, event: AuditEvent) -> None:
    row = [event.log_id, event.seq, event.ts, event.tenant, event.actor, event.action, event.object_id]
    connection.execute(_INSERT, [*row, event.body, event.prev, event.entry, event.leaf])
