"""Family of a claim: the other claims of this installation that were frozen on the same prompts, with their verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audit_core.confirm import list_texts
from audit_core.packs.pack_documents import Attempt
from audit_core.store import load_kept_prompts
from audit_core.store.claims.register import Register, RegisteredClaim
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, list_events
from audit_core.store.log.run_log import RunLog

NOT_RUN = "not run"


@dataclass(frozen=True)
class Relative:
    """Another claim about the same model, frozen on some of the same prompts."""

    claim_id: str
    name: str
    state: str
    """State of its last attempt, or `NOT_RUN`."""
    holds_among: int
    """See `ClaimTestResult.holds_among`; 0 if it is not decided."""
    n_shared: int
    """Prompts of the confirmatory split that both have, compared by text."""
    is_withdrawn: bool


def list_family(home: Path, known: RegisteredClaim) -> tuple[Relative, ...]:
    """Every other claim on these prompts, withdrawn ones too: a reader judges one finding among all that were tried.

    Raises:
        IntegrityError: a plan or a stored prompt set was changed.
    """
    with open_database(home) as connection:
        events = list_events(connection)
    own = set(list_texts(load_kept_prompts(known.prompts, home=home)))
    found = []
    for other in Register(home).list_claims():
        if other.claim_id == known.claim_id or other.plan.pins.model_digest != known.plan.pins.model_digest:
            continue
        if shared := len(own & set(list_texts(load_kept_prompts(other.prompts, home=home)))):
            attempts = read_attempts(home, other, events)
            last = max(attempts, key=lambda attempt: attempt.number).result.verdict if attempts else None
            found.append(
                Relative(
                    other.claim_id,
                    other.plan.claim.name,
                    last.state if last else NOT_RUN,
                    last.holds_among if last else 0,
                    shared,
                    bool(other.withdrawn),
                )
            )
    return tuple(found)


def read_attempts(home: Path, known: RegisteredClaim, shown: Sequence[AuditEvent]) -> list[Attempt]:
    """Every run with a result under the current plan."""
    started = {
        event.object_id: event
        for event in shown
        if event.action == Action.RUN_STARTED and event.payload["prereg_digest"] == known.plan.digest
    }
    ended = {event.object_id: event for event in shown if event.action == Action.RUN_ENDED}
    return [
        Attempt(record, int(started[record.run_id].payload["attempt_no"]), started[record.run_id], ended[record.run_id])
        for record in RunLog(home).read_runs(list(started))
        if record.outcome == "done"
    ]
