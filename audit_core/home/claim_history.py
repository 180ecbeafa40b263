"""History of one registered claim: its plans, every attempt, and the latest result."""

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
from audit_core.store.log.costs import list_running
from audit_core.store.log.run_log import RunLog


@dataclass(frozen=True)
class AttemptLine:
    """One attempt as logged."""

    number: int
    run_id: str
    started_at: str
    outcome: str
    """Outcome in the log; else since when it runs, or that it stopped without a result."""
    reason: str
    is_of_this_plan: bool
    """Whether it ran under the current plan."""
    is_running: bool = False


@dataclass(frozen=True)
class ClaimHistory:
    """A claim with its attempts, latest result and packs."""

    claim: RegisteredClaim
    attempts: tuple[AttemptLine, ...]
    latest: ConfirmationResult | None
    """Result of the last completed attempt under the current plan."""
    exploratory: str
    """Why the claim is exploratory and meets no policy; empty otherwise."""
    packs: tuple[str, ...]
    """Ids of the packs that contain it."""


def read_claim_history(home: Path, claim_id: str) -> ClaimHistory:
    """Read the history of one claim.

    Raises:
        ClaimRefused: no such claim.
        IntegrityError: a plan differs from the frozen one.
    """
    known = Register(home).find(claim_id)
    with open_database(home) as connection:
        events = list_events(connection)
    ends = {event.object_id: event for event in events if event.action == Action.RUN_ENDED}
    running = list_running(home)
    attempts = tuple(
        _read_attempt(event, ends.get(event.object_id), known, is_running=event.object_id in running)
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
    # Built on first use: it takes a tenth of a second, which would delay the start.
    return TypeAdapter(ConfirmationResult)


def read_result(text: str) -> ConfirmationResult:
    """Parse a stored result of an attempt."""
    return _adapter().validate_json(text)


def _read_attempt(
    started: AuditEvent, ended: AuditEvent | None, known: RegisteredClaim, *, is_running: bool
) -> AttemptLine:
    unended = f"running since {started.ts[11:16]} UTC" if is_running else "stopped without a result"
    return AttemptLine(
        int(started.payload["attempt_no"]),
        started.object_id,
        started.ts,
        unended if ended is None else str(ended.payload["outcome"]),
        "" if ended is None else str(ended.payload["reason"]),
        started.payload["prereg_digest"] == known.plan.digest,
        is_running and ended is None,
    )
