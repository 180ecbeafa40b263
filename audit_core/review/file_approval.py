"""A decision about a pack that lies in a file: signed into the file, and an event of this installation's log."""

from __future__ import annotations

from pathlib import Path

from audit_core.evidence.container import open_pack, write_pack
from audit_core.evidence.statement import Approval, Key, SignedApproval, sign_approval
from audit_core.store.database.connection import open_database
from audit_core.store.desk.desk_rows import log_decision


def approve_file(home: Path, path: Path, approval: Approval, key: Key, *, actor: str) -> SignedApproval:
    """Put a person's signed decision into a pack file, and record it; every other member keeps its bytes.

    The event names the decision by digest, so that a gate of this installation notices a copy without it.

    Raises:
        IntegrityError: the pack is not whole, or lacks a decision that another one names.
        Refused: a decision that is not one, or a file that cannot be written; then the log has no event of it.
    """
    members = open_pack(path)
    signed = sign_approval(members, approval, key, path.name)
    with open_database(home) as connection:
        log_decision(connection, signed, actor=actor)
        write_pack(path, {**members, signed.member: signed.envelope})
    return signed
