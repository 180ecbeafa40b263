"""Rows of the review desk: packs, and every decision about one; append-only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit_core.errors import Refused
from audit_core.store.database.events import Action, append_event

if TYPE_CHECKING:
    import duckdb

    from audit_core.evidence.statement import SignedApproval


@dataclass(frozen=True)
class DeskPack:
    """A pack on the desk."""

    root_digest: str
    """SHA-256 of the manifest, the subject of every decision."""
    pack_id: str
    taken_at: str
    taken_by: str
    pack_sha256: str
    """SHA-256 of the submitted file."""
    authors: tuple[str, ...]
    """Preparer of the pack and owners of its claims, none of whom may decide about it."""
    claim_ids: tuple[str, ...]
    check_found: str
    """The verifier's result at submission: SIGNER_VERIFIED or SIGNER_NOT_CHECKED."""


@dataclass(frozen=True)
class DeskDecision:
    """One person's signed decision."""

    number: int
    root_digest: str
    role: str
    """reviewer | approver"""
    person: str
    """Person in the signature."""
    account: str
    """Account of the sign-in; equal to the person without sign-in."""
    decision: str
    """approve | reject | approve_with_conditions"""
    decided_at: str
    document: str
    """JSON: the signed content."""
    envelope: str
    """The signed statement, as in the exported pack."""

    @property
    def decisions_seen(self) -> tuple[str, ...] | None:
        """SHA-256 of each decision that it names; None for decisions from versions that did not record it."""
        seen = json.loads(self.document).get("decisions_seen")
        return None if seen is None else tuple(seen)


_PACKS = """
SELECT root_digest, pack_id, taken_at, taken_by, pack_sha256, authors, claim_ids, check_found FROM desk_pack ORDER BY taken_at DESC
"""
_DECISIONS = """
SELECT number, root_digest, role, person, account, decision, decided_at, document, envelope FROM desk_decision
WHERE ? IS NULL OR root_digest = ? ORDER BY number
"""
_COUNT = "SELECT count(*) FROM desk_decision"


def insert_pack(connection: duckdb.DuckDBPyConnection, pack: DeskPack) -> None:
    """Insert a pack and its event, in the caller's transaction."""
    row = [pack.root_digest, pack.pack_id, pack.taken_at, pack.taken_by, pack.pack_sha256, json.dumps(pack.authors), json.dumps(pack.claim_ids), pack.check_found]  # fmt: skip
    connection.execute("INSERT INTO desk_pack VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    reported = {
        "root_digest": pack.root_digest,
        "pack_sha256": pack.pack_sha256,
        "claims": list(pack.claim_ids),
        "signer": pack.check_found,
    }
    append_event(connection, actor=pack.taken_by, action=Action.PACK_TAKEN, object_id=pack.pack_id, payload=reported)


def insert_decision(connection: duckdb.DuckDBPyConnection, decision: DeskDecision, signed: SignedApproval) -> None:
    """Insert a decision and its event, in the caller's transaction."""
    row = [
        decision.number, decision.root_digest, decision.role, decision.person, decision.account, decision.decision,
        decision.decided_at, decision.document, decision.envelope,
    ]  # fmt: skip
    connection.execute("INSERT INTO desk_decision VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    log_decision(connection, signed, actor=decision.account)


def log_decision(connection: duckdb.DuckDBPyConnection, signed: SignedApproval, *, actor: str) -> None:
    """Log a signed decision, made at the desk or in a file, in the caller's transaction."""
    reported = {
        "root_digest": signed.root_digest,
        "role": signed.approval.role,
        "decision": signed.approval.decision,
        "envelope_sha256": signed.envelope_sha256,
    }
    append_event(connection, actor=actor, action=Action.DECISION_MADE, object_id=signed.pack_id, payload=reported)


def log_refused_decision(
    connection: duckdb.DuckDBPyConnection, pack_id: str, root_digest: str, account: str, role: str, code: str
) -> None:
    """Log a refused attempt to decide, at the desk or in a file, in the caller's transaction."""
    reported = {"root_digest": root_digest, "role": role, "reason": code}
    append_event(connection, actor=account, action=Action.DECISION_REFUSED, object_id=pack_id, payload=reported)


def list_packs(connection: duckdb.DuckDBPyConnection) -> tuple[DeskPack, ...]:
    """Packs on the desk, newest first."""
    rows = connection.execute(_PACKS).fetchall()
    return tuple(
        DeskPack(digest, pack_id, at, by, sha256, tuple(json.loads(authors)), tuple(json.loads(claims)), found)
        for digest, pack_id, at, by, sha256, authors, claims, found in rows
    )


def find_pack(connection: duckdb.DuckDBPyConnection, root_digest: str) -> DeskPack:
    """Find one pack.

    Raises:
        Refused: the desk has no such pack.
    """
    for pack in list_packs(connection):
        if pack.root_digest == root_digest:
            return pack
    raise Refused(
        f"No pack {root_digest[:16]!r} on this desk.",
        wanted="the manifest digest of a pack on the desk.",
        remedy="submit the pack: `desk take PACK.zip`.",
    )


def list_decisions(connection: duckdb.DuckDBPyConnection, root_digest: str | None = None) -> tuple[DeskDecision, ...]:
    """Decisions in order; optionally about one pack."""
    return tuple(DeskDecision(*row) for row in connection.execute(_DECISIONS, [root_digest, root_digest]).fetchall())


def number_next(connection: duckdb.DuckDBPyConnection) -> int:
    """Number of the next decision: rows are append-only, with one writer at a time."""
    row = connection.execute(_COUNT).fetchone()
    return 1 + (int(row[0]) if row else 0)
