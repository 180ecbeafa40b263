"""One registered claim for a person who decides: its brief, and its report as PDF with every signer."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from audit_core.evidence.report.brief import Brief, read_brief
from audit_core.evidence.report.pack_view import PackView
from audit_core.packs.claim_documents import digest_documents, read_claim_documents
from audit_core.review.case_file import find_case, open_case

DIGEST_OF = "SHA-256 of the list of all documents that this report is made of"


def read_claim_brief(home: Path, claim_id: str) -> Brief:
    """Read the brief of a claim from the register and the log, whether or not it has a pack.

    Raises:
        ClaimRefused: no such claim.
        IntegrityError: a plan or policy differs from the frozen one.
    """
    return read_brief(PackView(read_claim_documents(home, claim_id)), claim_id)


def render_claim_report(home: Path, claim_id: str, *, now: datetime, names: frozenset[str] = frozenset()) -> bytes:
    """Render the report that a person files: of the newest pack on the desk, else of the claim as it is.

    Args:
        names: every name of the reader, because blind reviews of others are left out.

    Raises:
        ClaimRefused: no such claim.
        IntegrityError: a stored plan, policy or pack was changed.
    """
    # Imported here: the PDF library would delay every page.
    from audit_core.evidence.report.pdf import render_pdf

    case = find_case(home, claim_id)
    if case is not None:
        opened = open_case(home, case.pack.root_digest, now=now)
        hidden: Collection[str] = opened.list_hidden(names)
        return opened.render_pdf(hidden=hidden)
    documents = read_claim_documents(home, claim_id)
    return render_pdf(documents, root_digest=digest_documents(documents), digest_of=DIGEST_OF, signatures=())
