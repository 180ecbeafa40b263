"""Everything that is known of one registered claim: its plans, every attempt, and the latest answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from audit_core.audits.confirmation import ConfirmationResult
from audit_core.confirm import explain_exploratory
from audit_core.store.claims.register import Register, RegisteredClaim
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, list_events
from audit_core.store.log.run_log import RunLog


@dataclass(frozen=True)
class AttemptLine:
    """One attempt as the log tells it."""

    number: int
    run_id: str
    started_at: str
    outcome: str
    """As the log says; "under way or abandoned" where it tells of no end."""
    reason: str
    is_of_this_plan: bool
    """Whether it ran under the plan as it stands."""


@dataclass(frozen=True)
class ClaimHistory:
    """A claim and what became of it."""

    claim: RegisteredClaim
    attempts: tuple[AttemptLine, ...]
    latest: ConfirmationResult | None
    """Of the last attempt under the plan as it stands that came to a result."""
    exploratory: str
    """Why no policy can be met; empty where nothing stands in the way."""
    packs: tuple[str, ...]
    """Ids of the packs that told of it."""


def read_claim_history(home: Path, claim_id: str) -> ClaimHistory:
    """Gather one claim.

    Raises:
        ClaimRefused: no such claim.
        IntegrityError: a plan is not what was frozen.
    """
    known = Register(home).find(claim_id)
    with open_database(home) as connection:
        events = list_events(connection)
    ends = {event.object_id: event for event in events if event.action == Action.RUN_ENDED}
    attempts = tuple(
        _read_attempt(event, ends.get(event.object_id), known)
        for event in events
        if event.action == Action.RUN_STARTED and event.payload["claim_id"] == claim_id
    )
    done = [line.run_id for line in attempts if line.outcome == "done" and line.is_of_this_plan]
    records = RunLog(home).read_runs(done[-1:])
    latest = read_result(records[0].result or "") if records else None
    packs = tuple(
        event.object_id
        for event in events
        if event.action == Action.PACK_EXPORTED and claim_id in event.payload["claims"]
    )
    return ClaimHistory(known, attempts, latest, explain_exploratory(known), packs)


@cache
def _adapter() -> TypeAdapter[ConfirmationResult]:
    # Built when it is needed: a tenth of a second that the start of the product does not have.
    return TypeAdapter(ConfirmationResult)


def read_result(text: str) -> ConfirmationResult:
    """A stored result of an attempt."""
    return _adapter().validate_json(text)


def _read_attempt(started: AuditEvent, ended: AuditEvent | None, known: RegisteredClaim) -> AttemptLine:
    return AttemptLine(
        int(started.payload["attempt_no"]),
        started.object_id,
        started.ts,
        "under way or abandoned" if ended is None else str(ended.payload["outcome"]),
        "" if ended is None else str(ended.payload["reason"]),
        started.payload["prereg_digest"] == known.plan.digest,
    )
