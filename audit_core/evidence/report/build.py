"""Build a report from a pack's documents, section by section."""

from __future__ import annotations

import re
from collections.abc import Sequence

from audit_core.errors import Refused
from audit_core.evidence.report.answers import describe_answers
from audit_core.evidence.report.blocks import Line, Report, Seal, code, join_spans, line, theirs
from audit_core.evidence.report.brief import describe_briefs
from audit_core.evidence.report.claims import describe_preregistration, describe_runs, state_claims
from audit_core.evidence.report.closing import describe_checking, list_limitations
from audit_core.evidence.report.disclosure import describe_history
from audit_core.evidence.report.findings import print_findings
from audit_core.evidence.report.judgement import describe_criteria, describe_deviations, disclose_attempts
from audit_core.evidence.report.opening import describe_report, list_facts, summarise
from audit_core.evidence.report.pack_view import Documents, PackView
from audit_core.evidence.report.signing import Signature, describe_signatures

MANIFEST = "SHA-256 of the manifest"


def build_report(
    documents: Documents,
    *,
    root_digest: str,
    digest_of: str = MANIFEST,
    signatures: Sequence[Signature] | None = None,
    n_hidden: int = 0,
) -> Report:
    """Return the content of the HTML and PDF reports.

    Args:
        documents: path in the pack → parsed JSON; for JSON Lines, the list of lines.
        root_digest: SHA-256 of the manifest that covers the documents, hexadecimal.
        digest_of: label that states what the digest covers; a report inside the pack cannot contain the digest of the
            manifest that covers the report.
        signatures: every signed statement about the pack; None in a report that is itself part of the signed pack.
        n_hidden: decisions that are left out, because reviews are blind.

    Raises:
        Refused: a malformed digest, or `pack.json` is missing.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", root_digest):
        raise Refused(
            f"Root digest {root_digest[:80]!r}.", wanted="64 hexadecimal digits.", remedy="give the SHA-256 of the manifest."
        )  # fmt: skip
    pack = PackView(documents)
    if not pack.header:
        raise Refused(
            "Documents without pack.json.", wanted="the documents of one pack.", remedy="add the header of the pack."
        )
    made_at = pack.header.get("created_at")
    return Report(
        "Evidence report",
        _name(pack),
        list_facts(pack),
        Seal(digest_of, root_digest),
        (
            *describe_briefs(pack),
            describe_report(),
            # A pack of answers alone begins with them.
            *(() if pack.claims else describe_answers(pack)),
            summarise(pack),
            state_claims(pack),
            describe_preregistration(pack),
            describe_history(pack),
            describe_runs(pack),
            print_findings(pack),
            *(describe_answers(pack) if pack.claims else ()),
            describe_criteria(pack),
            describe_deviations(pack),
            disclose_attempts(pack),
            *list_limitations(pack),
            describe_checking(),
            describe_signatures(signatures, has_pack=bool(pack.header.get("pack_id")), n_hidden=n_hidden),
        ),
        made_at if isinstance(made_at, str) else None,
    )


def _name(pack: PackView) -> Line:
    """Return the system's name, or the claims' ids if it has none."""
    named = pack.header.get("system_name")
    if named:
        return line(theirs(named))
    ids = [code(claim.get("claim_id", "")) for claim in pack.claims]
    if not ids and pack.answers:
        return line("Answers of audits")
    return line("Evidence on ", *join_spans(ids)) if ids else line("Unnamed system")
