"""A pack opened for review: its claims and numbers, and the gate's result under a policy now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.container import read_archive
from audit_core.governance.gate import GateResult, decide_gate
from audit_core.governance.policy import Policy, parse_policy
from audit_core.review.checked_pack import load_home_trust, read_check, read_evidence
from audit_core.review.desk import assemble_pack, list_cases
from audit_core.review.desk_record import consult_desk
from audit_core.review.desk_rules import Case
from audit_core.verifier.attempts import count_attempts, list_attempts
from audit_core.verifier.documents import Documents
from audit_core.verifier.verification import Verification
from audit_core.verifier.walk import verify_pack

REPORT = "report/report.html"


@dataclass(frozen=True)
class ClaimReading:
    """One claim of the pack."""

    claim_id: str
    statement: str
    owner: str
    expires_at: str
    state: str | None
    """State of the last run with a result; None where there is none."""
    sentence: str
    speaks_against: tuple[str, ...]
    """Evidence against the claim: runs that did not support it, unmet criteria and deviations from the plan."""
    attempts: Mapping[str, int]
    """Number of attempts by outcome."""


@dataclass(frozen=True)
class CaseFile:
    """An opened pack of the desk."""

    case: Case
    claims: tuple[ClaimReading, ...]
    gate: GateResult
    """Under the pack's own policy unless another was given, with this data directory's trusted keys."""
    verification: Verification
    limitations: tuple[str, ...]
    not_assessed: tuple[str, ...]
    report: bytes | None
    """The report as HTML; None where the pack has none."""
    data: bytes
    """The pack with all decisions so far, as exported from the desk."""


def open_case(home: Path, root_digest: str, *, policy: Policy | None = None, now: datetime) -> CaseFile:
    """Open one pack of the desk.

    Args:
        policy: the caller's policy; the pack's own unless given.

    Raises:
        Refused: the desk has no such pack.
        IntegrityError: the stored file was changed.
    """
    case = next((one for one in list_cases(home) if one.pack.root_digest == root_digest), None)
    if case is None:
        raise Refused(
            f"No pack {root_digest[:16]!r} on this desk.", wanted="a pack of this desk.", remedy="choose from the list."
        )
    data = assemble_pack(home, root_digest)
    found = verify_pack(data, load_home_trust(home))
    documents = found.documents
    if documents is None:
        raise IntegrityError(f"Pack {case.pack.pack_id} no longer verifies.")
    members = read_archive(data, case.pack.pack_id)
    asked = policy or parse_policy(members["policy/policy.toml"], "policy.toml")
    gate = decide_gate(asked, read_check(found), read_evidence(found), now=now, desk=consult_desk(home, root_digest))
    return CaseFile(
        case,
        tuple(_read_claim(claim, documents, gate) for claim in documents.claims),
        gate,
        found,
        tuple(documents.pack["limitations"]),
        tuple(documents.pack["not_assessed"]),
        members.get(REPORT),
        data,
    )


def _read_claim(claim: Mapping[str, Any], documents: Documents, gate: GateResult) -> ClaimReading:
    claim_id = str(claim["claim_id"])
    results = [row for row in _list_results(documents) if row["claim_id"] == claim_id]
    against = [f"a run found {row['state']}: {row['sentence']}" for row in results if row["state"] != "supported"]
    against += [
        f"{row.id}: {row.result}" + (f" ({row.reason})" if row.reason else "")
        for row in gate.rows
        if row.claim_id == claim_id and row.result != "MEETS"
    ]
    against += [f"deviation from the plan: {row['field']}, {row['reason']}" for row in documents.deviations if claim_id in row["effect_on_claims"]]  # fmt: skip
    last = results[-1] if results else None
    return ClaimReading(
        claim_id,
        str(claim["statement"]),
        str(claim["owner"]),
        str(claim["expires_at"]),
        None if last is None else str(last["state"]),
        "" if last is None else str(last["sentence"]),
        tuple(against),
        count_attempts(list_attempts(documents.entries, [claim_id])),
    )


def _list_results(documents: Documents) -> list[Mapping[str, Any]]:
    return [
        documents.parsed[f"runs/{run_id}/result.json"]
        for run_id in documents.pack["run_ids"]
        if f"runs/{run_id}/result.json" in documents.parsed
    ]
