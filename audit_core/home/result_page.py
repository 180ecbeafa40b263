"""Render one run or one claim as a self-contained HTML page."""

from __future__ import annotations

import re
from pathlib import Path

from audit_core.errors import Refused
from audit_core.packs.answers import describe_evidence, describe_record
from audit_core.store.claims.register import Register
from audit_core.store.log.run_log import RunLog

_CLAIM = re.compile(r"C-\d{4,9}")


def render_result(home: Path, name: str) -> bytes:
    """Render the page of a run with a result, or of a registered claim.

    Args:
        name: a run id, or a claim id such as C-0001.

    Raises:
        Refused: no such run or claim, or a run without a result.
    """
    # Templates are imported only when a page is rendered.
    from audit_core.evidence.report.export import export_html

    if _CLAIM.fullmatch(name):
        known = Register(home).find(name)
        claim = known.plan.claim.to_json() | {"sha256": known.plan.claim.sha256}
        reported = {
            "claim_id": known.claim_id,
            "owner": known.owner,
            "frozen_at": known.plan.frozen_at,
            "digest": known.plan.digest,
        }
        return export_html(claim | reported, evidence={}, title=f"{known.claim_id}: {known.plan.claim.name}")
    found = RunLog(home).read_runs([name])
    if not found or found[0].result is None:
        raise Refused(
            f"No run {name[:40]!r} with a result." if not found else f"Run {name[:40]!r} ended without a result.",
            wanted="a run id, or a claim id such as C-0001.",
            remedy="`log export` lists runs, `claims` lists claims.",
        )
    kind = found[0].kind
    return export_html(
        describe_record(found[0]),
        evidence=describe_evidence(kind),
        title=f"{kind.replace('_', ' ')}, {found[0].started_at[:10]}",
    )
