"""Runs of the run log, as the API lists and reads them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from audit_core.api.endpoint import Call
from audit_core.api.errors import refuse_missing
from audit_core.governance.people import Permission
from audit_core.packs.answers import describe_evidence
from audit_core.store import RunLog, RunRecord

MOST_LISTED = 200
_RUN = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True)
class RunLine:
    """One run, without its request and result."""

    run_id: str
    started_at: str
    kind: str
    """Name of the audit."""
    outcome: str
    reason: str
    model_digest: str
    prompts_sha256: str
    wall_s: float
    """Seconds."""
    is_own: bool
    """Whether this token made it."""


@dataclass(frozen=True)
class RunList:
    """The newest runs."""

    runs: tuple[RunLine, ...]


@dataclass(frozen=True)
class RunDocument:
    """One run with everything that reproduces it."""

    run: RunLine
    detail: str
    identity: dict[str, Any]
    """Model, digests, number format, attention implementation, versions."""
    request: dict[str, Any]
    result: Any
    """The audit's result; every estimate as value, low, high, n, unit, level. Null where the run ended without one."""
    evidence: Any
    """Kind of evidence of each part of the result: observational, estimated or causal."""


def list_runs(call: Call) -> RunList:
    """Runs of all people, newest first: what the page Audit log shows to everyone who may look."""
    found = RunLog(call.home).list_runs(limit=int(call.query["limit"]))
    return RunList(tuple(_describe(record, call) for record in found))


def read_run(call: Call) -> RunDocument:
    """One run: the token's own, or any for those who may export the log."""
    run_id = call.path["run_id"]
    found = RunLog(call.home).read_runs([run_id]) if _RUN.fullmatch(run_id) else ()
    if not found:
        raise refuse_missing("run", "list them: GET /runs. A run appears when it has ended.")
    (record,) = found
    if record.session != call.token.owner:
        call.authorize(Permission.EXPORT_LOG, f"run {run_id}")
    result = None if record.result is None else json.loads(record.result)
    return RunDocument(
        _describe(record, call), record.detail, json.loads(record.identity), json.loads(record.request), result,
        describe_evidence(record.kind),
    )  # fmt: skip


def _describe(record: RunRecord, call: Call) -> RunLine:
    return RunLine(
        record.run_id, record.started_at, record.kind, record.outcome, record.reason, record.model_digest, record.prompts_sha256,
        record.wall_s, record.session == call.token.owner,
    )  # fmt: skip
