"""Sign a decision into a pack file and log it in this installation."""

from __future__ import annotations

from pathlib import Path

from audit_core.evidence.container import open_pack, write_pack
from audit_core.evidence.statement import Approval, Key, SignedApproval, sign_approval
from audit_core.store.database.connection import open_database
from audit_core.store.desk.desk_rows import log_decision


def approve_file(home: Path, path: Path, approval: Approval, key: Key, *, actor: str) -> SignedApproval:
    """Add a person's signed decision to a pack file and log it; all other members keep their bytes.

    The event contains the decision's digest, so that this installation's gate detects a copy without it.

    Raises:
        IntegrityError: the pack fails its integrity check, or lacks a decision that another one names.
        Refused: an invalid decision, or a file that cannot be written; the log then has no event of it.
    """
    members = open_pack(path)
    signed = sign_approval(members, approval, key, path.name)
    with open_database(home) as connection:
        log_decision(connection, signed, actor=actor)
        write_pack(path, {**members, signed.member: signed.envelope})
    return signed
