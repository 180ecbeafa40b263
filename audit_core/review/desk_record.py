"""Decisions about a pack that this installation recorded, so that a copy that lacks one is detected."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from audit_core.governance.latest import DeskRecord, KnownDecision
from audit_core.store.database.connection import DATABASE, open_database
from audit_core.store.database.events import Action, list_events
from audit_core.store.desk.desk_rows import list_decisions, list_packs


def consult_desk(home: Path, root_digest: str | None) -> DeskRecord | None:
    """Every decision about a pack in the desk's rows or in the log.

    The log is read as well as the desk's rows: a decision that was deleted from the rows still has its event.

    Args:
        root_digest: SHA-256 of the pack's manifest; None where it could not be read.

    Returns:
        None where this installation does not know the pack; decisions outside the copy are then unknown.

    Raises:
        StoreRefused: the log exists but cannot be opened.
    """
    if root_digest is None or not (home / DATABASE).exists():
        return None
    with open_database(home) as connection:
        is_known = any(pack.root_digest == root_digest for pack in list_packs(connection))
        rows = list_decisions(connection, root_digest)
        events = list_events(connection, action=Action.DECISION_MADE)
    found = {}
    for event in events:
        payload = event.payload
        if payload.get("root_digest") == root_digest:
            digest = str(payload["envelope_sha256"])
            found[digest] = KnownDecision(digest, str(payload["role"]), event.actor, str(payload["decision"]), event.ts)
    for row in rows:
        digest = hashlib.sha256(base64.b64decode(row.envelope)).hexdigest()
        found[digest] = KnownDecision(digest, row.role, row.person, row.decision, row.decided_at)
    return DeskRecord(tuple(found.values())) if is_known or found else None
