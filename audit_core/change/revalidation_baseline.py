"""Baseline of a claim's revalidation: its frozen plan, its last run, and the folder of the pinned model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from audit_core.audits.confirmation import ConfirmationResult
from audit_core.change.model_diff import ModelDiff
from audit_core.errors import AuditError
from audit_core.home.claim_history import read_result
from audit_core.models import ModelIdentity, identify_model
from audit_core.store.claims.register import MAX_EXPIRY_DAYS, RegisteredClaim
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, list_events
from audit_core.store.desk.desk_rows import list_decisions, list_packs
from audit_core.store.log.run_log import RunLog
from audit_core.trigger import Change, Frozen, Templates, TriggerKind

_APPROVING = ("approve", "approve_with_conditions")


@dataclass(frozen=True)
class LastRun:
    """The last run of a claim with a verdict."""

    run_id: str
    at: str
    identity: Mapping[str, Any]
    """Identity in the run's record: digests, versions, folder."""
    result: ConfirmationResult


@dataclass(frozen=True)
class RevalidationBaseline:
    """A claim with its frozen plan and last run."""

    claim: RegisteredClaim
    last: LastRun | None
    frozen: Frozen


def read_baseline(home: Path, known: RegisteredClaim) -> RevalidationBaseline:
    """Read a claim's baseline from a data directory.

    Raises:
        IntegrityError: the log cannot be read.
    """
    with open_database(home) as connection:
        events = list_events(connection)
        claims_of = {event.object_id: tuple(event.payload["claims"]) for event in events if _names_pack(event)}
        roots = {pack.root_digest: pack.pack_id for pack in list_packs(connection)}
        decided = [one for one in list_decisions(connection) if one.decision in _APPROVING]
    packs = {pack_id for pack_id, claim_ids in claims_of.items() if known.claim_id in claim_ids}
    shown = [(event.ts, event.actor, event.object_id) for event in events if event.action == Action.PACK_EXPORTED]
    shown += [(one.decided_at, one.person, roots.get(one.root_digest, "")) for one in decided]
    own = sorted(row for row in shown if row[2] in packs)
    since = events[_find_last_start(known, events) + 1 :]
    departures = (*_list_deviations(known, since, own), *_list_revoked(events, since, own))
    last = _read_last(home, known, events)
    pinned = None if last is None or last.identity["short"] != known.plan.pins.model_digest else last.identity
    due = _find_due(known, events)
    versions = None if last is None else last.identity["versions"]
    return RevalidationBaseline(known, last, Frozen(known.plan.pins, pinned, versions, due, departures))


def find_pinned_folder(baseline: RevalidationBaseline, folders: Sequence[Path]) -> Path | None:
    """Folder with the pinned model, byte-identical; None where there is none.

    Args:
        folders: additional folders to try first.
    """
    places = [*folders]
    if baseline.last is not None:
        places.append(Path(str(baseline.last.identity["folder"])))
    places.append(Path(baseline.claim.model).expanduser())
    for place in places:
        found = _identify(place)
        if found is not None and found.short == baseline.frozen.pins.model_digest:
            return place
    return None


def read_templates(diff: ModelDiff) -> Templates:
    """Chat templates of both models, from their diff."""
    reported = diff.tokenizer
    return Templates(reported.template_before, reported.template_after, reported.is_same_but_template)


def _identify(place: Path) -> ModelIdentity | None:
    try:
        return identify_model(place, dtype="float32", attention="eager") if (place / "config.json").is_file() else None
    except (AuditError, OSError):
        # A folder that cannot be identified is not the pinned model.
        return None


def _names_pack(event: AuditEvent) -> bool:
    return event.action in (Action.PACK_EXPORTED, Action.PACK_TAKEN)


def _find_last_start(known: RegisteredClaim, events: Sequence[AuditEvent]) -> int:
    """Start event of the claim's last run with a verdict, −1 without one; that verdict answers all earlier triggers."""
    verdicts = {
        event.object_id
        for event in events
        if event.action == Action.VERDICT_REACHED and event.payload["claim_id"] == known.claim_id
    }
    starts = [event.seq for event in events if event.action == Action.RUN_STARTED and event.object_id in verdicts]
    return max(starts, default=-1)


def _list_deviations(
    known: RegisteredClaim, events: Sequence[AuditEvent], shown: Sequence[tuple[str, str, str]]
) -> list[Change]:
    """Deviations with results available, made after a pack about the claim was exported or decided about."""
    if not shown:
        return []
    late = [
        event
        for event in events
        if event.action == Action.PREREG_DEVIATED
        and event.payload["claim_id"] == known.claim_id
        and event.ts > shown[0][0]
    ]
    return [Change(TriggerKind.PLAN_DEVIATED, shown[0][2], str(event.payload["digest"])) for event in late]


def _list_revoked(
    events: Sequence[AuditEvent], since: Sequence[AuditEvent], shown: Sequence[tuple[str, str, str]]
) -> list[Change]:
    """Revoked keys that signed evidence about the claim."""
    revoked = {event.object_id for event in since if event.action == Action.KEY_REVOKED}
    changes = []
    for at, person, pack_id in shown:
        keys = [
            str(event.payload.get("keyid", event.object_id))
            for event in events
            if event.action in (Action.KEY_MADE, Action.KEY_ROTATED)
            and event.payload.get("person", event.actor) == person
            and event.ts <= at
        ]
        if keys and keys[-1] in revoked:
            changes.append(Change(TriggerKind.KEY_REVOKED, keys[-1], pack_id))
    return changes


def _find_due(known: RegisteredClaim, events: Sequence[AuditEvent]) -> date:
    """Due date: the registered one, or `MAX_EXPIRY_DAYS` after the last verdict that is later than it."""
    due = date.fromisoformat(known.expires_at)
    later = [
        at
        for event in events
        if event.action == Action.VERDICT_REACHED and event.payload["claim_id"] == known.claim_id
        if (at := date.fromisoformat(event.ts[:10])) > due
    ]
    return max(later) + timedelta(days=MAX_EXPIRY_DAYS) if later else due


def _read_last(home: Path, known: RegisteredClaim, events: Sequence[AuditEvent]) -> LastRun | None:
    """Last run under the current plan, or under an earlier plan where the current one has none."""
    starts = {event.object_id: event for event in events if event.action == Action.RUN_STARTED}
    verdicts = [
        event
        for event in events
        if event.action == Action.VERDICT_REACHED and event.payload["claim_id"] == known.claim_id
    ]
    own = [e for e in verdicts if starts[e.object_id].payload["prereg_digest"] == known.plan.digest]
    chosen = (own or verdicts)[-1:]
    for record in RunLog(home).read_runs([event.object_id for event in chosen]):
        identity = json.loads(record.identity)
        return LastRun(record.run_id, chosen[0].ts, identity, read_result(record.result or ""))
    return None
