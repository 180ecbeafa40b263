"""The findings of a pack: those about its claims, with every change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audit_core.evidence.canonical import dump_canonical
from audit_core.store.findings.finding import RegisteredFinding
from audit_core.verifier.schemas_findings import FINDINGS_MEMBER


def describe_findings(findings: Sequence[RegisteredFinding]) -> dict[str, Any]:
    """Path and content of the document; none without findings, so that such a pack has the form of earlier versions."""
    return {FINDINGS_MEMBER: [one.to_json() for one in findings]} if findings else {}


def write_findings(findings: Sequence[RegisteredFinding]) -> dict[str, bytes]:
    """The document of `describe_findings` as a member of a pack."""
    return {name: dump_canonical(content) for name, content in describe_findings(findings).items()}
