"""From the documents of a pack to a report, section by section."""

from __future__ import annotations

import re

from audit_core.errors import Refused
from audit_core.evidence.report.blocks import Report, Seal, line, theirs
from audit_core.evidence.report.claims import describe_preregistration, describe_runs, state_claims
from audit_core.evidence.report.closing import bound_findings, describe_checking
from audit_core.evidence.report.findings import print_findings
from audit_core.evidence.report.judgement import describe_criteria, describe_deviations, disclose_attempts
from audit_core.evidence.report.opening import list_facts, say_what_this_is, summarise
from audit_core.evidence.report.pack_view import Documents, PackView

MANIFEST = "SHA-256 of the manifest"


def build_report(documents: Documents, *, root_digest: str, digest_of: str = MANIFEST) -> Report:
    """All that the HTML and the PDF show.

    Args:
        documents: path in the pack → parsed JSON; of JSON Lines, the list of its lines.
        root_digest: SHA-256 of the manifest that the documents were read under, hexadecimal.
        digest_of: what it is the digest of, in words; a report that lies inside the pack cannot name the manifest that
            covers the report itself.

    Raises:
        Refused: a digest of another form, or documents without the pack's header.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", root_digest):
        raise Refused(
            f"A root digest {root_digest[:80]!r}.", wanted="64 hexadecimal digits.", remedy="give the SHA-256 of the manifest."
        )  # fmt: skip
    pack = PackView(documents)
    if not pack.header:
        raise Refused(
            "Documents without pack.json.", wanted="the documents of one pack.", remedy="add the header of the pack."
        )
    made_at = pack.header.get("created_at")
    return Report(
        "Evidence report",
        line(theirs(pack.header.get("system_name", "Unnamed system"))),
        list_facts(pack),
        Seal(digest_of, root_digest),
        (
            say_what_this_is(),
            summarise(pack),
            state_claims(pack),
            describe_preregistration(pack),
            describe_runs(pack),
            print_findings(pack),
            describe_criteria(pack),
            describe_deviations(pack),
            disclose_attempts(pack),
            *bound_findings(pack),
            describe_checking(),
        ),
        made_at if isinstance(made_at, str) else None,
    )
