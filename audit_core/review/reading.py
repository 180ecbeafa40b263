"""A pack opened for reading: each claim's brief, the policy's rows now, every signature, and its report."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from audit_core.errors import IntegrityError
from audit_core.evidence.container import read_archive
from audit_core.evidence.report.brief import Brief, read_brief
from audit_core.evidence.report.pack_view import PackView, parse_members
from audit_core.evidence.report.signing import Signature
from audit_core.governance.gate import GateResult, decide_gate
from audit_core.governance.latest import DeskRecord
from audit_core.governance.policy import Policy, parse_policy
from audit_core.review.checked_pack import load_home_trust, read_check, read_evidence
from audit_core.verifier.attempts import count_attempts, list_attempts
from audit_core.verifier.documents import Documents
from audit_core.verifier.statement import read_statements
from audit_core.verifier.verification import Verification
from audit_core.verifier.walk import verify_pack
from audit_core.verifier.witnessed import WitnessFinding
from audit_core.witness.recording import load_home_witnesses

INTEGRITY_VERIFIED = "INTEGRITY_VERIFIED"


@dataclass(frozen=True)
class ClaimReading:
    """One claim of the pack."""

    brief: Brief
    owner: str
    expires_at: str
    attempts: Mapping[str, int]
    """Number of attempts by outcome."""

    @property
    def claim_id(self) -> str:
        return self.brief.claim_id


@dataclass(frozen=True)
class PackReading:
    """A pack whose signatures and files passed their checks."""

    claims: tuple[ClaimReading, ...]
    gate: GateResult
    """Under the pack's own policy unless another was given, with this data directory's trusted keys."""
    verification: Verification
    limitations: tuple[str, ...]
    not_assessed: tuple[str, ...]
    signatures: tuple[Signature, ...]
    """The preparer first."""
    witnesses: WitnessFinding
    """By the witness list of this data directory, if it has one."""
    data: bytes
    """The pack with all decisions so far."""

    @property
    def root_digest(self) -> str:
        """SHA-256 of the manifest, which identifies the pack."""
        return str(self.verification.manifest_sha256)

    def render_pdf(self, *, hidden: Collection[str] = ()) -> bytes:
        """Render the report with its signature page as PDF.

        Args:
            hidden: people whose decisions the reader may not see yet, because reviews are blind.
        """
        # Imported here: the PDF library would delay every page.
        from audit_core.evidence.report.pdf import render_pdf

        shown = self._show(hidden)
        n_hidden = len(self.signatures) - len(shown)
        return render_pdf(_parse(self.data), root_digest=self.root_digest, signatures=shown, n_hidden=n_hidden)

    def render_html(self, *, hidden: Collection[str] = ()) -> bytes:
        """Render the report as HTML; see `render_pdf`."""
        from audit_core.evidence.report.html import render_html

        shown = self._show(hidden)
        n_hidden = len(self.signatures) - len(shown)
        return render_html(_parse(self.data), root_digest=self.root_digest, signatures=shown, n_hidden=n_hidden)

    def render_validation(self, form: str, *, hidden: Collection[str] = ()) -> bytes:
        """Render the validation report as `pdf`, `html` or `json`; see `render_pdf`."""
        from audit_core.evidence.report.html import write_html
        from audit_core.evidence.report.json_form import write_json
        from audit_core.evidence.report.pdf import write_pdf
        from audit_core.evidence.report.validation import build_validation_report

        shown = self._show(hidden)
        n_hidden = len(self.signatures) - len(shown)
        report = build_validation_report(
            _parse(self.data), root_digest=self.root_digest, signatures=shown, n_hidden=n_hidden
        )
        return {"pdf": write_pdf, "html": write_html, "json": write_json}[form](report)

    def _show(self, hidden: Collection[str]) -> list[Signature]:
        return [one for one in self.signatures if one.person not in hidden or one.role == "preparer"]


def read_pack(
    home: Path, data: bytes, *, policy: Policy | None = None, now: datetime, desk: DeskRecord | None = None
) -> PackReading:
    """Verify a pack and read it; nothing is stored or logged.

    Args:
        home: data directory with the trusted keys.
        policy: the caller's policy; the pack's own unless given.
        desk: decisions that this installation recorded about the pack.

    Raises:
        IntegrityError: the pack is incomplete or was changed.
    """
    found = verify_pack(data, load_home_trust(home))
    documents = found.documents
    if found.integrity != INTEGRITY_VERIFIED or documents is None:
        failed = "; ".join(f"{step.name}: {step.detail}" for step in found.steps if step.result == "FAILED")
        raise IntegrityError(f"The pack cannot be read: {failed or found.integrity}.")
    members = read_archive(data, str(found.pack_id))
    asked = policy or parse_policy(members["policy/policy.toml"], "policy.toml")
    gate = decide_gate(asked, read_check(found), read_evidence(found), now=now, desk=desk)
    view = PackView(_parse(data))
    return PackReading(
        tuple(_read_claim(claim, documents, view) for claim in documents.claims),
        gate,
        found,
        tuple(documents.pack["limitations"]),
        tuple(documents.pack["not_assessed"]),
        _list_signatures(members, found),
        _find_witnesses(home, data, found),
        data,
    )


def _find_witnesses(home: Path, data: bytes, found: Verification) -> WitnessFinding:
    """Check witnesses apart from the gate: a pack may be decided on before, or without, a quorum."""
    listed = load_home_witnesses(home)
    return found.witnesses if listed is None else verify_pack(data, load_home_trust(home), witnesses=listed).witnesses


def _parse(data: bytes) -> dict[str, Any]:
    members = read_archive(data, "the pack")
    # No report uses the numbers per prompt.
    return parse_members({name: found for name, found in members.items() if not name.endswith("items.jsonl")})


def _read_claim(claim: Mapping[str, Any], documents: Documents, view: PackView) -> ClaimReading:
    claim_id = str(claim["claim_id"])
    attempts = count_attempts(list_attempts(documents.entries, [claim_id]))
    return ClaimReading(read_brief(view, claim_id), str(claim["owner"]), str(claim["expires_at"]), attempts)


def _list_signatures(members: Mapping[str, bytes], found: Verification) -> tuple[Signature, ...]:
    checked = {signer.sha256 for signer in found.signers}
    return tuple(
        Signature(
            str(one.predicate["role"]), str(one.predicate["person"]), str(one.predicate.get("organisation", "")),
            str(one.predicate.get("decision", "")), str(one.predicate["at"]), str(one.predicate.get("expires_at") or ""),
            tuple(map(str, one.predicate.get("conditions", ()))), str(one.predicate.get("independence_statement", "")),
            str(one.predicate.get("conflicts", "")), tuple(map(str, one.predicate.get("evidence_viewed", ()))),
            one.signatures[0][0], one.sha256 in checked,
        )
        for one in read_statements(members, str(found.manifest_sha256))
    )  # fmt: skip
