"""Reopen findings whose basis has changed: done by the register itself, in the transaction of the trigger."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from audit_core.store.database.events import parse_time, read_clock
from audit_core.store.findings.finding import FindingStatus, FindingStep, RegisteredFinding
from audit_core.store.findings.rows import insert_change, read_findings
from audit_core.trigger import Trigger

if TYPE_CHECKING:
    import duckdb

REGISTER_ACTOR = "findings register"
"""Actor of changes that the register itself makes."""


def reopen_findings(
    connection: duckdb.DuckDBPyConnection, trigger: Trigger, *, number: int
) -> tuple[RegisteredFinding, ...]:
    """Reopen each resolved finding about the trigger's claim, with the trigger as the reason.

    An accepted finding reopens too: the person accepted it for the earlier model, prompts or rule.

    Args:
        number: of the trigger in the change log.
    """
    if not trigger.kind.reopens_findings:
        return ()
    today = parse_time(read_clock()).date()
    reason = f"Trigger {number} of {trigger.claim_id}: {trigger.describe()}"
    return tuple(
        insert_change(
            connection, one.history, one.finding_id, FindingStep.REOPENED,
            {"status": FindingStatus.OPEN.value, "due": (today + timedelta(days=one.days)).isoformat()},
            by=REGISTER_ACTOR, reason=reason,
        )
        for one in read_findings(connection)
        if trigger.claim_id in one.claims and not one.is_active
    )  # fmt: skip
