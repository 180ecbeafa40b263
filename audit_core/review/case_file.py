"""What somebody reads before they decide about a pack: its own words and numbers, and what a policy says of them now."""

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
    """Of the last run that came to a result; None where none did."""
    sentence: str
    speaks_against: tuple[str, ...]
    """Every run that did not support it, criterion that is not met, and change of plan; what a reader must not miss."""
    attempts: Mapping[str, int]
    """How many were started, and what became of them."""


@dataclass(frozen=True)
class CaseFile:
    """A pack on the desk, opened."""

    case: Case
    claims: tuple[ClaimReading, ...]
    gate: GateResult
    """Under the pack's own policy unless another was given, by the keys that this home trusts."""
    verification: Verification
    limitations: tuple[str, ...]
    not_assessed: tuple[str, ...]
    report: bytes | None
    """The report as HTML; None in a pack without one."""
    data: bytes
    """The pack as it would leave the desk."""


def open_case(home: Path, root_digest: str, *, policy: Policy | None = None, now: datetime) -> CaseFile:
    """Read one pack of the desk.

    Args:
        policy: of whoever asks; the pack's own unless given.

    Raises:
        Refused: it does not lie on the desk.
        IntegrityError: it is not what was taken.
    """
    case = next((one for one in list_cases(home) if one.pack.root_digest == root_digest), None)
    if case is None:
        raise Refused(
            f"No pack {root_digest[:16]!r} on this desk.", wanted="one that is.", remedy="choose from the list."
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
    against += [f"the plan was changed: {row['field']}, {row['reason']}" for row in documents.deviations if claim_id in row["effect_on_claims"]]  # fmt: skip
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
