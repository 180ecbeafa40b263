"""Rows of findings: each change is inserted with its event, and read only if both agree."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from audit_core.errors import FindingRefused, IntegrityError
from audit_core.evidence.canonical import hash_document
from audit_core.store.database.events import Action, append_event, list_events, read_clock
from audit_core.store.findings.finding import (
    FindingChange,
    FindingStep,
    RegisteredFinding,
    fold_changes,
    parse_change,
)
from audit_core.verifier.schemas_findings import MAX_FINDING_CHANGES, MAX_FINDINGS

if TYPE_CHECKING:
    import duckdb

ACTIONS = {
    FindingStep.RECORDED: Action.FINDING_RECORDED,
    FindingStep.CHANGED: Action.FINDING_CHANGED,
    FindingStep.CLOSED: Action.FINDING_CLOSED,
    FindingStep.ACCEPTED: Action.FINDING_ACCEPTED,
    FindingStep.REOPENED: Action.FINDING_REOPENED,
}
_ROWS = "SELECT body FROM finding_change ORDER BY number"
_COUNT = "SELECT count(*) FROM finding_change"
_INSERT = "INSERT INTO finding_change VALUES (?, ?, ?)"


def insert_change(
    connection: duckdb.DuckDBPyConnection,
    history: Sequence[FindingChange],
    finding_id: str,
    step: FindingStep,
    fields: Mapping[str, Any],
    *,
    by: str,
    reason: str,
) -> RegisteredFinding:
    """Append one change and its event, in the caller's transaction.

    Raises:
        FindingRefused: the finding has as many changes as a pack can hold.
    """
    if len(history) >= MAX_FINDING_CHANGES:
        raise FindingRefused(
            f"{finding_id} has {len(history):,} changes.",
            wanted=f"at most {MAX_FINDING_CHANGES:,}.",
            remedy="record a new finding that names it.",
        )
    change = FindingChange(finding_id, len(history) + 1, read_clock(), by, step, reason, fields)
    body = change.to_json()
    row = connection.execute(_COUNT).fetchone()
    connection.execute(
        _INSERT, [1 + (int(row[0]) if row else 0), finding_id, json.dumps(body, ensure_ascii=False, sort_keys=True)]
    )
    found = fold_changes((*history, change))
    payload = {
        "version": change.version,
        "claims": list(found.claims),
        "status": found.status.value,
        "row_sha256": hash_document(body),
    }
    append_event(connection, actor=by, action=ACTIONS[step], object_id=finding_id, payload=payload)
    return found


def read_findings(connection: duckdb.DuckDBPyConnection) -> tuple[RegisteredFinding, ...]:
    """Read every finding, oldest first, in the caller's transaction.

    Raises:
        IntegrityError: a row differs from its event, or one of them is missing.
    """
    bodies = [json.loads(body) for (body,) in connection.execute(_ROWS).fetchall()]
    known = set(ACTIONS.values())
    events = [event for event in list_events(connection) if event.action in known]
    stored = [(body["finding_id"], hash_document(body)) for body in bodies]
    if stored != [(event.object_id, event.payload["row_sha256"]) for event in events]:
        raise IntegrityError(
            f"The {len(bodies)} changes of findings differ from the {len(events)} in the audit log. "
            "What to do: run `log verify`, and restore the file from a backup."
        )
    histories: dict[str, list[FindingChange]] = {}
    for body in bodies:
        histories.setdefault(body["finding_id"], []).append(parse_change(body))
    return tuple(fold_changes(history) for history in histories.values())


def name_next(findings: Sequence[RegisteredFinding]) -> str:
    """Id of the next finding: rows are append-only, with one writer at a time.

    Raises:
        FindingRefused: the register has as many findings as a pack can hold.
    """
    if len(findings) >= MAX_FINDINGS:
        raise FindingRefused(
            f"{len(findings):,} findings in this register.", wanted=f"at most {MAX_FINDINGS:,}.", remedy="use another data directory."
        )  # fmt: skip
    return f"F-{len(findings) + 1:04d}"
