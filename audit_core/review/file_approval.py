"""Sign a decision into a pack file and log it in this installation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from audit_core.errors import DecisionRefused, IntegrityError
from audit_core.evidence.container import open_pack, write_pack
from audit_core.evidence.statement import Approval, Key, SignedApproval, sign_approval
from audit_core.governance.approval import name_person
from audit_core.store.database.connection import open_database
from audit_core.store.desk.desk_rows import log_decision, log_refused_decision
from audit_core.verifier.container import BadPack
from audit_core.verifier.manifest import check_manifest
from audit_core.verifier.statement import Statement, read_statements

POLICY_MEMBER = "policy/policy.resolved.json"


def approve_file(home: Path, path: Path, approval: Approval, key: Key, *, actor: str) -> SignedApproval:
    """Add a person's signed decision to a pack file and log it; all other members keep their bytes.

    The event contains the decision's digest, so that this installation's gate detects a copy without it. Where the pack's policy
    separates persons, a second person must have reviewed it before an approver signs; signatures are checked by the gate.

    Raises:
        DecisionRefused: the policy asks for another person; the refusal is logged.
        IntegrityError: the pack fails its integrity check, or lacks a decision that another one names.
        Refused: an invalid decision, or a file that cannot be written; the log then has no event of it.
    """
    members = open_pack(path)
    root_digest, statements = _read_statements(members, path.name)
    try:
        _refuse_same_person(members, statements, approval)
    except DecisionRefused as error:
        with open_database(home) as connection:
            pack_id = statements[0].predicate["pack_id"]
            log_refused_decision(connection, pack_id, root_digest, actor, approval.role, error.code)
        raise
    signed = sign_approval(members, approval, key, path.name)
    with open_database(home) as connection:
        log_decision(connection, signed, actor=actor)
        write_pack(path, {**members, signed.member: signed.envelope})
    return signed


def _read_statements(members: Mapping[str, bytes], name: str) -> tuple[str, tuple[Statement, ...]]:
    try:
        digest = check_manifest(members)
        return digest, read_statements(members, digest)
    except BadPack as error:
        raise IntegrityError(f"{name} is incomplete or damaged: {error}.") from error


def _refuse_same_person(members: Mapping[str, bytes], statements: tuple[Statement, ...], approval: Approval) -> None:
    """Ask for as many persons as the pack's policy does. A rejection needs no second person."""
    if approval.decision == "reject" or POLICY_MEMBER not in members:
        return
    asked = json.loads(members[POLICY_MEMBER])["approval"]
    person, prepared = name_person(approval.person), name_person(statements[0].predicate["person"])
    if asked["preparer_ne_reviewer"] and person == prepared:
        raise DecisionRefused(
            f"{approval.person} prepared this pack.",
            wanted="another person, as the pack's policy asks.",
            remedy="ask a colleague.",
            code="author",
        )
    if not asked["reviewer_ne_approver"]:
        return
    own = {one.predicate["role"] for one in statements[1:] if name_person(one.predicate["person"]) == person}
    if own - {approval.role}:
        raise DecisionRefused(
            f"{approval.person} has signed this pack in another role.",
            wanted="two persons to review and approve, as the pack's policy asks.",
            remedy="ask a colleague.",
            code="decided_before",
        )
    reviewed = any(
        one.predicate["role"] == "reviewer" and one.predicate["decision"] != "reject" for one in statements[1:]
    )
    if approval.role == "approver" and not reviewed:
        raise DecisionRefused(
            "This pack has no review.",
            wanted="a review by a second person before the approval, as the pack's policy asks.",
            remedy="ask a reviewer to sign first.",
            code="not_reviewed",
        )
