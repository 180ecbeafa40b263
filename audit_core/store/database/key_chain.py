"""The log's signing keys over time, read from its key events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit_core.errors import Refused
from audit_core.evidence.keys import LOG_KEY, SigningKey, find_next_key, load_log_key, name_key, take_next_key
from audit_core.store.database.events import Action, list_events

if TYPE_CHECKING:
    import duckdb

CHANGES = (Action.KEY_ROTATED, Action.KEY_REVOKED)
CHECKPOINTS, PACKS = "checkpoints", "packs"
"""Purpose of a key: the log's key signs checkpoints, a person's key signs packs."""


@dataclass(frozen=True)
class LogKey:
    """One key of the log with its period of use."""

    keyid: str
    public_key: bytes
    began: int
    """Sequence number of its first event."""
    valid_from: str
    ended: int | None = None
    """Sequence number of the event that names its successor."""
    valid_to: str | None = None
    """When it was rotated."""
    revoked_at: str | None = None
    """When it was revoked."""
    since: int = 0
    """For a revoked key: first event at which it may have been compromised."""
    reason: str = ""

    @property
    def is_revoked(self) -> bool:
        return self.revoked_at is not None

    def signs(self, size: int) -> bool:
        """Whether it signs checkpoints of this size; at a key change, both keys sign."""
        return self.began < size and (self.ended is None or size <= self.ended + 1)


def read_chain(records: Iterable[Mapping[str, Any]]) -> tuple[LogKey, ...]:
    """Read the log's keys in order; empty where the first event names none.

    Args:
        records: events in order; those other than key changes are skipped.
    """
    chain: list[LogKey] = []
    for record in records:
        action, payload = record["action"], record["payload"]
        is_first, is_change = action == Action.KEY_MADE and record["seq"] == 0, action in CHANGES and bool(chain)
        public_key = read_public_key(payload)
        if payload.get("signs") != CHECKPOINTS or public_key is None or not (is_first or is_change):
            continue
        if chain:
            chain[-1] = _end(chain[-1], record)
        chain.append(LogKey(name_key(public_key), public_key, record["seq"], record["ts"]))
    return tuple(chain)


def _end(key: LogKey, record: Mapping[str, Any]) -> LogKey:
    if record["action"] == Action.KEY_ROTATED:
        return replace(key, ended=record["seq"], valid_to=record["ts"])
    since, reason = record["payload"].get("since", 0), str(record["payload"].get("reason", ""))
    return replace(
        key, ended=record["seq"], revoked_at=record["ts"], since=since if type(since) is int else 0, reason=reason
    )


def read_public_key(payload: Mapping[str, Any]) -> bytes | None:
    """Public key in an event, 32 bytes; None where it does not match the key id."""
    try:
        key = bytes.fromhex(payload["public_key"])
    except (KeyError, TypeError, ValueError):
        return None
    return key if len(key) == 32 and name_key(key) == payload.get("keyid") else None


def list_log_keys(connection: duckdb.DuckDBPyConnection) -> tuple[LogKey, ...]:
    """The log's keys; the last one is in force."""
    return read_chain([vars(event) for event in list_events(connection, action=(Action.KEY_MADE, *CHANGES))])


def ensure_log_key(connection: duckdb.DuckDBPyConnection, home: Path) -> SigningKey:
    """Load the key in force, for signing.

    Raises:
        Refused: the stored key is missing, readable by other accounts, or not the one in force.
    """
    key, chain = find_own_key(connection, home), list_log_keys(connection)
    if chain and chain[-1].keyid != key.keyid:
        raise Refused(
            f"The stored log key is {key.keyid[:19]}…, but the key in force is {chain[-1].keyid[:19]}….",
            wanted="the key in the log's last key event.",
            remedy="find the cause: an old copy of the database, an old copy of the key, or a forged event.",
        )
    return key


def find_own_key(connection: duckdb.DuckDBPyConnection, home: Path) -> SigningKey:
    """Load the stored key, in force or not; a key change that a crash interrupted is completed first."""
    following = find_next_key(home, LOG_KEY)
    if following is not None and following.keyid in {key.keyid for key in list_log_keys(connection)[-1:]}:
        take_next_key(home, LOG_KEY)
    return load_log_key(home)


def find_signers(chain: Sequence[LogKey], size: int) -> tuple[LogKey, ...]:
    """Keys that must sign a checkpoint of this size: one key, or two at a key change."""
    return tuple(key for key in chain if key.signs(size))
