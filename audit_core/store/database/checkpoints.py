"""Signed checkpoints of the audit log: when one is due, its external copies, and the unanchored events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from audit_core.errors import Refused
from audit_core.evidence.keys import SigningKey
from audit_core.evidence.note import sign_checkpoint
from audit_core.store.database.events import (
    Action,
    AuditEvent,
    append_event,
    find_log_id,
    list_events,
    parse_time,
    read_clock,
)
from audit_core.store.database.key_chain import ensure_log_key
from audit_core.verifier.log_entry import GENESIS
from audit_core.verifier.merkle import compute_root
from audit_core.verifier.note import Checkpoint

if TYPE_CHECKING:
    import duckdb

MAX_EVENTS = 100
MAX_SECONDS = 3600.0
"""Maximum events and seconds between two checkpoints, checked at each append."""
SEALING = frozenset(
    {
        Action.PREREG_FROZEN, Action.PREREG_AMENDED, Action.VERDICT_REACHED, Action.GATE_DECIDED, Action.WAIVER_GIVEN,
        Action.PACK_EXPORTED, Action.DECISION_MADE, Action.KEY_MADE, Action.KEY_ROTATED, Action.KEY_REVOKED,
    }
)  # fmt: skip
"""Actions that trigger a checkpoint immediately, as does the end of a claim's run."""


class AnchorKind(StrEnum):
    """Kind of external copy of a checkpoint."""

    FILE = "file"
    CI = "ci"
    PACK = "pack"
    WITNESS = "witness"


@dataclass(frozen=True)
class Signed:
    """A stored checkpoint."""

    size: int
    root: str
    head: str
    note: str
    """C2SP signed note."""


@dataclass(frozen=True)
class UnanchoredExport:
    """An exported pack without a recorded external copy of its checkpoint."""

    pack_id: str
    size: int
    """Size of its checkpoint, in events."""


@dataclass(frozen=True)
class LogStatus:
    """State of the log, and how much of it external checkpoints cover."""

    log_id: str
    size: int
    checkpoint: Signed | None
    """Latest checkpoint."""
    anchored_size: int
    """Events covered by the latest external checkpoint; 0 without one."""
    unanchored_events: int
    unanchored_s: float
    """Seconds since that checkpoint was anchored, or since the log began."""
    carried: tuple[UnanchoredExport, ...]
    """Packs that would cover more events once an external copy is recorded."""


_SIZE = "SELECT count(*) FROM audit_event WHERE log_id = ?"
_LEAVES = "SELECT leaf, entry FROM audit_event WHERE log_id = ? ORDER BY seq"
_FIND = """
SELECT size, root, head, note FROM audit_checkpoint WHERE log_id = ? AND (? IS NULL OR size = ?) ORDER BY size DESC LIMIT 1
"""
_OLDEST_UNSEALED = """
SELECT seq, ts FROM audit_event WHERE seq >= (SELECT coalesce(max(size), 0) FROM audit_checkpoint) ORDER BY seq LIMIT 1
"""
_ALL = "SELECT size, root, head, note FROM audit_checkpoint WHERE log_id = ? ORDER BY size"
_INSERT = "INSERT INTO audit_checkpoint VALUES (?, ?, ?, ?, ?)"


def seal_when_due(connection: duckdb.DuckDBPyConnection, home: Path, *, start: int) -> Signed | None:
    """Sign a checkpoint if one is due, in the transaction of the events that trigger it.

    Args:
        start: number of events before this transaction.
    """
    added = list_events(connection, start=start)
    if not added or not (
        any(_asks_for_one(connection, event) for event in added) or _is_overdue(connection, added[-1])
    ):
        return None
    return make_checkpoint(connection, home)


def make_checkpoint(connection: duckdb.DuckDBPyConnection, home: Path) -> Signed:
    """Sign the log in its current state; an existing checkpoint of this size is returned.

    Raises:
        Refused: the log's key is missing, readable by others, or not the one in force.
    """
    # Checked first: a key rotation is signed with both keys in its own transaction, before the new key is used.
    known = find_checkpoint(connection, size=count_events(connection))
    return known if known is not None else sign_log(connection, ensure_log_key(connection, home))


def sign_log(connection: duckdb.DuckDBPyConnection, key: SigningKey, *others: SigningKey) -> Signed:
    """Store a checkpoint over all events, signed with each key."""
    log_id = find_log_id(connection)
    rows = connection.execute(_LEAVES, [log_id]).fetchall()
    root, head = compute_root([bytes.fromhex(row[0]) for row in rows]), rows[-1][1] if rows else GENESIS
    note = sign_checkpoint(key, Checkpoint(log_id, len(rows), root, head), *others)
    connection.execute(_INSERT, [log_id, len(rows), root.hex(), head, note])
    return Signed(len(rows), root.hex(), head, note)


def find_checkpoint(connection: duckdb.DuckDBPyConnection, *, size: int | None = None) -> Signed | None:
    """Find the checkpoint of this size, or the latest."""
    row = connection.execute(_FIND, [find_log_id(connection), size, size]).fetchone()
    return None if row is None else Signed(*row)


def list_checkpoints(connection: duckdb.DuckDBPyConnection) -> tuple[Signed, ...]:
    return tuple(Signed(*row) for row in connection.execute(_ALL, [find_log_id(connection)]).fetchall())


def list_leaves(connection: duckdb.DuckDBPyConnection, *, size: int) -> tuple[bytes, ...]:
    """Leaf hashes of the first `size` events, for proofs."""
    rows = connection.execute(_LEAVES, [find_log_id(connection)]).fetchall()
    return tuple(bytes.fromhex(row[0]) for row in rows[:size])


def anchor_checkpoint(
    connection: duckdb.DuckDBPyConnection,
    *,
    actor: str,
    kind: AnchorKind,
    target: str,
    size: int,
    named: Mapping[str, str] | None = None,
) -> AuditEvent:
    """Record an external copy of a checkpoint: its place, and who reports it.

    Args:
        target: place of the copy, such as a file, a CI job or a person with a pack.
        size: size of the checkpoint. The latest one may not have been handed out yet.
        named: further fields about the place, such as a pack's id and digest.

    Raises:
        Refused: no such checkpoint.
    """
    held = find_checkpoint(connection, size=size)
    if held is None:
        raise Refused(
            f"No checkpoint over {size} events.",
            wanted="a checkpoint that was signed and handed out.",
            remedy="python -m audit_core log checkpoint --out FILE first.",
        )
    payload = {"size": held.size, "root": held.root, "kind": AnchorKind(kind).value, "target": target} | dict(
        named or {}
    )
    return append_event(
        connection, actor=actor, action=Action.CHECKPOINT_ANCHORED, object_id=str(held.size), payload=payload
    )


def read_status(connection: duckdb.DuckDBPyConnection, *, now: str = "") -> LogStatus:
    """Read the log's status; the unanchored window starts at the anchored checkpoint that covers most events.

    Args:
        now: end of the unanchored window; the present unless given.
    """
    size, since, anchored = count_events(connection), "", 0
    for event in list_events(connection, action=Action.CHECKPOINT_ANCHORED):
        if event.payload["size"] >= anchored:
            anchored, since = event.payload["size"], event.ts
    if not since and size:
        since = list_events(connection)[0].ts
    seconds = (parse_time(now or read_clock()) - parse_time(since)).total_seconds() if since else 0.0
    return LogStatus(
        find_log_id(connection), size, find_checkpoint(connection), anchored, max(0, size - anchored), max(0.0, seconds),
        _list_carried(connection, anchored),
    )  # fmt: skip


def _list_carried(connection: duckdb.DuckDBPyConnection, anchored: int) -> tuple[UnanchoredExport, ...]:
    refused = {event.object_id for event in list_events(connection, action=Action.PACK_REFUSED)}
    exported = list_events(connection, action=Action.PACK_EXPORTED, start=anchored)
    return tuple(
        UnanchoredExport(event.object_id, event.seq + 1) for event in exported if event.object_id not in refused
    )


def count_events(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute(_SIZE, [find_log_id(connection)]).fetchone()
    return int(row[0]) if row else 0


def _asks_for_one(connection: duckdb.DuckDBPyConnection, event: AuditEvent) -> bool:
    if event.action != Action.RUN_ENDED:
        return event.action in SEALING
    starts = list_events(connection, object_id=event.object_id, action=Action.RUN_STARTED)
    return any(start.payload["claim_id"] for start in starts)


def _is_overdue(connection: duckdb.DuckDBPyConnection, newest: AuditEvent) -> bool:
    row = connection.execute(_OLDEST_UNSEALED).fetchone()
    if row is None:
        return False
    age = parse_time(newest.ts) - parse_time(row[1])
    return newest.seq + 1 - row[0] >= MAX_EVENTS or age.total_seconds() >= MAX_SECONDS
