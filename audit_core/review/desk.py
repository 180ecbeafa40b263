"""The review desk: stores packs, signs reviewers' and approvers' decisions, and exports packs with their decisions."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from audit_core.errors import DecisionRefused, IntegrityError, PackDecided, Refused
from audit_core.evidence.container import build_pack, read_archive
from audit_core.evidence.statement import Approval, sign_approval
from audit_core.evidence.whole_file import write_whole
from audit_core.review.desk_rules import Case, Decider, ReviewDecision, refuse_decision, refuse_person
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import read_clock
from audit_core.store.desk.desk_rows import (
    DeskDecision,
    DeskPack,
    find_pack,
    insert_decision,
    insert_pack,
    list_decisions,
    list_packs,
    log_refused_decision,
    number_next,
)
from audit_core.verifier.container import MAX_PACK_BYTES
from audit_core.verifier.manifest import is_approval
from audit_core.verifier.trust import Trust
from audit_core.verifier.verification import Verification
from audit_core.verifier.walk import verify_pack

APPROVAL_DAYS = 180
"""Days until a decision expires, as for claims."""


def take_pack(home: Path, data: bytes, *, by: str, trust: Trust | None = None) -> DeskPack:
    """Put a pack on the desk; a pack that is already there stays unchanged.

    Args:
        by: the person who submits it.
        trust: keys whose signatures count; None leaves the signer unchecked, and the row records that.

    Raises:
        IntegrityError: its integrity check failed, or its signer differs from the trust file.
        PackDecided: it contains decisions from elsewhere; this desk takes packs without decisions.
    """
    if len(data) > MAX_PACK_BYTES:
        raise Refused(
            f"A pack of {len(data):,} bytes.", wanted=f"at most {MAX_PACK_BYTES:,}.", remedy="check the file."
        )
    found = verify_pack(data, trust)
    if found.integrity != "INTEGRITY_VERIFIED" or found.authenticity == "SIGNER_FAILED" or found.documents is None:
        raise IntegrityError(f"The desk rejects the pack: {_describe_failure(found)}.")
    assert found.manifest_sha256 is not None
    if any(is_approval(name) for name in read_archive(data, "the pack")):
        raise PackDecided(
            "This pack already carries a decision.",
            wanted="the version before any decision.",
            remedy="upload the file that `pack` wrote; `approve` is for files outside a desk.",
        )
    authors = sorted({row["owner"] for row in found.documents.claims} | {_read_preparer(data)})
    claim_ids = tuple(str(row["claim_id"]) for row in found.documents.claims)
    pack_sha256 = _keep(home, data)
    with open_database(home) as connection:
        known = {one.root_digest: one for one in list_packs(connection)}
        if found.manifest_sha256 in known:
            return known[found.manifest_sha256]
        pack = DeskPack(
            found.manifest_sha256, str(found.pack_id), read_clock(), by, pack_sha256, tuple(authors), claim_ids,
             found.authenticity,
        )  # fmt: skip
        insert_pack(connection, pack)
    return pack


def list_cases(home: Path) -> tuple[Case, ...]:
    """Every pack on the desk with its decisions, newest first."""
    with open_database(home) as connection:
        decisions = list_decisions(connection)
        return tuple(
            Case(pack, tuple(one for one in decisions if one.root_digest == pack.root_digest))
            for pack in list_packs(connection)
        )


def decide(home: Path, root_digest: str, review_decision: ReviewDecision, decider: Decider) -> DeskDecision:
    """Sign and record a decision about one pack, if this person may make it; check and write in one transaction.

    Args:
        root_digest: digest of the pack that the person read.

    Raises:
        DecisionRefused: author, reviewer and approver are not three persons, or it is not their turn; the refusal is logged.
        IntegrityError: the stored file was changed.
    """
    account = decider.account or decider.key.person
    try:
        with open_database(home) as connection:
            pack = find_pack(connection, root_digest)
            case = Case(pack, list_decisions(connection, root_digest))
            refuse_decision(review_decision)
            refuse_person(case, review_decision, decider)
            now = read_clock()
            approval = _write_approval(review_decision, decider, now)
            members = _open_kept(home, pack) | _list_envelopes(case.decisions)
            signed = sign_approval(members, approval, decider.key, pack.pack_id)
            decision = DeskDecision(
                number_next(connection), root_digest, review_decision.role, decider.key.person, account, review_decision.decision, now,
                json.dumps({"member": signed.member, **signed.approval.predicate()}, ensure_ascii=False),
                base64.b64encode(signed.envelope).decode(),
            )  # fmt: skip
            insert_decision(connection, decision, signed)
    except DecisionRefused as error:
        with open_database(home) as connection:
            pack_id = find_pack(connection, root_digest).pack_id
            log_refused_decision(connection, pack_id, root_digest, account, review_decision.role, error.code)
        raise
    return decision


def assemble_pack(home: Path, root_digest: str) -> bytes:
    """Build the pack for export: the submitted file with every signed decision about it."""
    with open_database(home) as connection:
        pack = find_pack(connection, root_digest)
        decisions = list_decisions(connection, root_digest)
    return build_pack(_open_kept(home, pack) | _list_envelopes(decisions))


def _write_approval(review_decision: ReviewDecision, decider: Decider, now: str) -> Approval:
    until = (datetime.now(UTC) + timedelta(days=APPROVAL_DAYS)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Approval(
        review_decision.role, decider.key.person, decider.organisation, review_decision.decision, now, until, review_decision.conditions,
        review_decision.independence, review_decision.conflicts, review_decision.evidence_viewed,
    )  # fmt: skip


def _find_path(home: Path, pack_sha256: str) -> Path:
    return home / "desk" / f"{pack_sha256}.zip"


def _keep(home: Path, data: bytes) -> str:
    """Store the file under its digest before its row: a file without a row is ignored, and a retry finds it."""
    digest = hashlib.sha256(data).hexdigest()
    (home / "desk").mkdir(mode=0o700, exist_ok=True)
    write_whole(_find_path(home, digest), data, mode=0o600)
    return digest


def _open_kept(home: Path, pack: DeskPack) -> dict[str, bytes]:
    try:
        data = _find_path(home, pack.pack_sha256).read_bytes()
    except OSError as error:
        raise IntegrityError(f"The file of pack {pack.pack_id} is missing from the desk: {error.strerror}.") from error
    if hashlib.sha256(data).hexdigest() != pack.pack_sha256:
        raise IntegrityError(f"The file of pack {pack.pack_id} was changed on disk after it was submitted.")
    return read_archive(data, pack.pack_id)


def _list_envelopes(decisions: Sequence[DeskDecision]) -> dict[str, bytes]:
    return {json.loads(one.document)["member"]: base64.b64decode(one.envelope) for one in decisions}


def _read_preparer(data: bytes) -> str:
    envelope = json.loads(read_archive(data, "the pack")["attestations/pack.dsse.json"])
    return str(json.loads(base64.b64decode(envelope["payload"]))["predicate"]["person"])


def _describe_failure(found: Verification) -> str:
    return (
        "; ".join(f"{step.name}: {step.detail}" for step in found.steps if step.result == "FAILED") or found.integrity
    )
