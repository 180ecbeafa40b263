"""Verify a pack and evaluate it against a policy; shared by the gate, the desk and the overview."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from audit_core.errors import Refused
from audit_core.governance.approval import CheckedSignature
from audit_core.governance.gate import GateResult, PackCheck, PackDocuments, decide_gate
from audit_core.governance.policy import Policy
from audit_core.governance.waiver import Waiver
from audit_core.review.desk_record import consult_desk
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event
from audit_core.verifier.facts import derive_answers, derive_facts
from audit_core.verifier.trust import MAX_TRUST_BYTES, BadTrust, Trust, read_trust
from audit_core.verifier.verification import Verification
from audit_core.verifier.walk import verify_pack

HOME_TRUST = "trust.toml"
"""Trust file of this data directory: the keys whose signatures count; without it, none do."""


def gate_pack(
    data: bytes,
    policy: Policy,
    trust: Trust | None,
    *,
    waivers: Sequence[Waiver] = (),
    now: datetime,
    home: Path | None = None,
) -> GateResult:
    """Verify a pack's bytes, then decide under the policy.

    Args:
        home: data directory whose desk may have later decisions; None consults none, and the result records that.
    """
    found = verify_pack(data, trust)
    desk = None if home is None else consult_desk(home, found.manifest_sha256)
    return decide_gate(policy, read_check(found), read_evidence(found), waivers=waivers, now=now, desk=desk)


def log_gate(home: Path, result: GateResult, *, pack: str, actor: str) -> None:
    """Log a gate's decision and each waiver that it applied.

    Args:
        pack: the pack's id, or another name where the pack could not be read.
    """
    reported = {"policy_sha256": result.policy_sha256, "overall": result.overall, "exit_code": result.exit_code}
    with open_database(home) as connection:
        append_event(connection, actor=actor, action=Action.GATE_DECIDED, object_id=pack, payload=reported)
        for row in result.waived:
            assert row.waiver is not None
            waived = {
                "criterion": row.id,
                "claim_id": row.claim_id,
                "by": row.waiver.by,
                "expires_at": str(row.waiver.expires_at),
            }
            append_event(connection, actor=actor, action=Action.WAIVER_GIVEN, object_id=pack, payload=waived)


def load_home_trust(home: Path) -> Trust | None:
    """Read the trust file of a data directory; None where it has none.

    Raises:
        Refused: the file is not a trust file.
    """
    path = home / HOME_TRUST
    if not path.is_file():
        return None
    return load_trust(path)


def load_trust(path: Path) -> Trust:
    """Read a trust file.

    Raises:
        Refused: it cannot be read, or is not a trust file.
    """
    try:
        with path.open("rb") as file:
            return read_trust(file.read(MAX_TRUST_BYTES + 1))
    except OSError as error:
        raise Refused(
            f"{path} cannot be read: {error.strerror}.", wanted="a file.", remedy="check the path."
        ) from error
    except BadTrust as error:
        raise Refused(
            f"{path} is not a trust file: {error}.",
            wanted="the format in docs/reference/pack.md.",
            remedy="fix the file.",
        ) from error


def read_check(found: Verification) -> PackCheck:
    """Convert the verifier's result to the gate's input."""
    details = {
        result: tuple(f"{step.name}: {step.detail}" for step in found.steps if step.result == result)
        for result in ("FAILED", "NOT_CHECKED")
    }
    signatures = tuple(
        CheckedSignature(
            signer.role,
            signer.person,
            signer.decision,
            signer.at,
            signer.expires_at,
            signer.sha256,
            signer.decisions_seen,
        )
        for signer in found.signers
    )
    undone = "; ".join(details["NOT_CHECKED"]) if found.exit_code == 3 else None
    named = found.decisions
    return PackCheck(
        found.integrity, found.authenticity, details["FAILED"], signatures, undone, named.present, named.missing, named.silent
    )  # fmt: skip


def read_evidence(found: Verification) -> PackDocuments | None:
    """Convert the pack's documents to the gate's input; None where they could not be read."""
    documents = found.documents
    if documents is None:
        return None
    verdict = documents.parsed["verdict/verdict.json"]
    return PackDocuments(
        documents.claims,
        documents.metrics,
        derive_facts(documents),
        documents.policy,
        verdict["policy_sha256"],
        verdict,
        derive_answers(documents),
    )
