"""Suggestions of one claim that a person may record as findings, and the severities that apply to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audit_core.errors import StoreRefused
from audit_core.evidence.report.pack_view import PackView
from audit_core.evidence.report.suggestions import suggest_findings
from audit_core.governance.policy import parse_policy
from audit_core.governance.severities import FindingRules, read_finding_rules
from audit_core.packs.claim_documents import NO_PACK, read_claim_documents
from audit_core.shipped import load_shipped_policy
from audit_core.store.claims.register import Register
from audit_core.store.data_directory import load_kept_policy
from audit_core.store.findings.finding import MAX_TEXT, MAX_TITLE, FindingDraft
from audit_core.store.findings.register import FindingRegister

_RUN = re.compile(r"runs/([^/]+)/")


@dataclass(frozen=True)
class SuggestedFinding:
    """One suggestion about one claim; it becomes a finding only when a person records it."""

    claim_id: str
    text: str
    remediation: str
    source: str
    """Document that it was read from."""
    runs: tuple[str, ...]

    def prefill(self) -> FindingDraft:
        """A draft without severity and owner, which are a person's to set."""
        # A criterion or assumption with its result; what follows is the reason, which the finding has.
        title = ": ".join(self.text.split(": ")[:2])
        return FindingDraft(
            "", title[:MAX_TITLE], self.text[:MAX_TEXT], self.remediation, "", claims=(self.claim_id,), runs=self.runs,
            basis=self.text[:MAX_TEXT],
        )  # fmt: skip


def list_suggestions(home: Path, claim_id: str) -> tuple[SuggestedFinding, ...]:
    """Suggestions that no finding about the claim was recorded from, as the validation report lists them.

    Raises:
        ClaimRefused: no such claim.
        StoreRefused: the policy of the claim is not stored.
        IntegrityError: a plan, a policy or a finding differs from the log.
    """
    taken = {one.basis for one in FindingRegister(home).list_findings() if claim_id in one.claims}
    found = (
        SuggestedFinding(claim_id, " ".join(one.text.split()), one.remediation, one.source, _name_runs(one.source))
        for one in suggest_findings(PackView(read_claim_documents(home, claim_id)))
        # Only an export discloses attempts, so before one there is nothing to find about it.
        if NO_PACK not in one.text
    )
    return tuple(one for one in found if one.text[:MAX_TEXT] not in taken)


def find_rules(home: Path, claim_ids: Sequence[str]) -> FindingRules:
    """Severities of the policy that the first of these claims is frozen under.

    Without claims, and where that policy is not stored here, of the shipped policy; the rules name the one they are from.

    Raises:
        ClaimRefused: no such claim.
        IntegrityError: the stored policy was changed.
    """
    shipped = load_shipped_policy()
    if not claim_ids:
        return read_finding_rules(shipped)
    digest = Register(home).find(claim_ids[0]).plan.pins.policy_sha256
    try:
        text = load_kept_policy(digest, home=home)
    except StoreRefused:
        return read_finding_rules(shipped)
    return read_finding_rules(parse_policy(text, f"{digest[:12]}.toml"))


def _name_runs(source: str) -> tuple[str, ...]:
    found = _RUN.match(source)
    return (found[1],) if found else ()
