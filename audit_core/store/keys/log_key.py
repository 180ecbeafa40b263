"""The log's own key is followed by another: told by an event, and signed for by the key that goes and the key that comes."""

from __future__ import annotations

from pathlib import Path

from audit_core.errors import Refused
from audit_core.evidence.keys import LOG_KEY, make_next_key
from audit_core.store.database.checkpoints import count_events, sign_log
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event
from audit_core.store.database.key_chain import CHECKPOINTS, LogKey, ensure_log_key, list_log_keys


def rotate_log_key(home: Path, *, actor: str) -> LogKey:
    """Begin a new log key; the old one signs for it once, and its secret half is then destroyed."""
    return _change(home, actor, Action.KEY_ROTATED, {})


def revoke_log_key(home: Path, *, actor: str, reason: str, since: int = 0) -> LogKey:
    """Begin a new log key, as the old one may be in other hands.

    Args:
        since: the first event from which on it may have been; what it signed over more events rests on nothing else here.

    Raises:
        Refused: no reason, or an event that there is none of.
    """
    if not reason.strip():
        raise Refused("A revocation without a reason.", wanted="what happened.", remedy="give --reason.")
    with open_database(home) as connection:
        size = count_events(connection)
    if not 0 <= since < size:
        raise Refused(
            f"Event {since} of {size}.", wanted=f"0 to {size - 1}.", remedy="0 if nobody knows: that is the default."
        )
    return _change(home, actor, Action.KEY_REVOKED, {"reason": reason.strip(), "since": since})


def _change(home: Path, actor: str, action: Action, reported: dict[str, str | int]) -> LogKey:
    with open_database(home) as connection:
        old = ensure_log_key(connection, home)
        new = make_next_key(home, LOG_KEY)
        payload = {"keyid": new.keyid, "public_key": new.public_key.hex(), "signs": CHECKPOINTS, **reported}
        append_event(connection, actor=actor, action=action, object_id=old.keyid, payload=payload)
        sign_log(connection, old, new)
    # Only now does the log say so for good. The old secret goes under the same lock, and at the next signing if not here.
    with open_database(home) as connection:
        ensure_log_key(connection, home)
        return list_log_keys(connection)[-1]
