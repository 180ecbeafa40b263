"""Rotation and revocation of the log's key: one event, co-signed by old and new key."""

from __future__ import annotations

from pathlib import Path

from audit_core.errors import Refused
from audit_core.evidence.keys import LOG_KEY, make_next_key
from audit_core.store.database.checkpoints import count_events, sign_log
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event
from audit_core.store.database.key_chain import CHECKPOINTS, LogKey, ensure_log_key, list_log_keys


def rotate_log_key(home: Path, *, actor: str) -> LogKey:
    """Rotate the log's key: the old key signs the new one, and its private key is then destroyed."""
    return _change(home, actor, Action.KEY_ROTATED, {})


def revoke_log_key(home: Path, *, actor: str, reason: str, since: int = 0) -> LogKey:
    """Revoke the log's key, which may be compromised, and begin a new one.

    Args:
        since: first event at which it may have been compromised; its checkpoints over more events are not trusted.

    Raises:
        Refused: no reason, or no such event.
    """
    if not reason.strip():
        raise Refused("The revocation has no reason.", wanted="what happened.", remedy="give --reason.")
    with open_database(home) as connection:
        size = count_events(connection)
    if not 0 <= since < size:
        raise Refused(
            f"Event {since} of {size}.",
            wanted=f"0 to {size - 1}.",
            remedy="use 0, the default, if the event is unknown.",
        )
    return _change(home, actor, Action.KEY_REVOKED, {"reason": reason.strip(), "since": since})


def _change(home: Path, actor: str, action: Action, reported: dict[str, str | int]) -> LogKey:
    with open_database(home) as connection:
        old = ensure_log_key(connection, home)
        new = make_next_key(home, LOG_KEY)
        payload = {"keyid": new.keyid, "public_key": new.public_key.hex(), "signs": CHECKPOINTS, **reported}
        append_event(connection, actor=actor, action=action, object_id=old.keyid, payload=payload)
        sign_log(connection, old, new)
    # The event is committed. The old private key is deleted under the same lock, or at the next signing after a crash.
    with open_database(home) as connection:
        ensure_log_key(connection, home)
        return list_log_keys(connection)[-1]
