"""Asks this installation which decisions about a pack it knows, so that a copy that lacks one is noticed."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from audit_core.governance.latest import DeskRecord, KnownDecision
from audit_core.store.database.connection import DATABASE, open_database
from audit_core.store.database.events import Action, list_events
from audit_core.store.desk.desk_rows import list_decisions, list_packs


def consult_desk(home: Path, root_digest: str | None) -> DeskRecord | None:
    """Every decision about a pack that the desk holds or the log names.

    The log is read beside the desk's rows: a decision that was deleted from the rows is still named by its event.

    Args:
        root_digest: SHA-256 of the pack's manifest; None where it could not be read.

    Returns:
        None where this installation does not know the pack: then nothing can be said of decisions outside the copy.

    Raises:
        StoreRefused: the log is there and cannot be opened.
    """
    if root_digest is None or not (home / DATABASE).exists():
        return None
    with open_database(home) as connection:
        is_known = any(pack.root_digest == root_digest for pack in list_packs(connection))
        rows = list_decisions(connection, root_digest)
        events = list_events(connection, action=Action.DECISION_MADE)
    found = {}
    for event in events:
        said = event.payload
        if said.get("root_digest") == root_digest:
            digest = str(said["envelope_sha256"])
            found[digest] = KnownDecision(digest, str(said["role"]), event.actor, str(said["decision"]), event.ts)
    for row in rows:
        digest = hashlib.sha256(base64.b64decode(row.envelope)).hexdigest()
        found[digest] = KnownDecision(digest, row.role, row.person, row.decision, row.decided_at)
    return DeskRecord(tuple(found.values())) if is_known or found else None
