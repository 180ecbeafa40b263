"""Read the key figures' inputs from a data directory: its register, audit log and review desk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from audit_core.governance.records import (
    ApprovalRecord,
    AttemptRecord,
    ClaimRecord,
    DeviationRecord,
    LogRecord,
    PackRecord,
    ProcessRecords,
    RerunRecord,
)
from audit_core.store.claims.change_log import StaleRow, read_stale
from audit_core.store.claims.register import Register, RegisteredClaim
from audit_core.store.database.checkpoints import LogStatus, read_status
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, list_events, parse_time
from audit_core.store.database.read_only import read_record_clock
from audit_core.store.desk.desk_rows import DeskDecision, DeskPack, list_decisions, list_packs


@dataclass(frozen=True)
class HomeFacts:
    """Records of one data directory, read once."""

    claims: tuple[RegisteredClaim, ...]
    events: tuple[AuditEvent, ...]
    packs: tuple[DeskPack, ...]
    decisions: tuple[DeskDecision, ...]
    status: LogStatus
    stale: tuple[StaleRow, ...]

    def list_triggers(self) -> Mapping[str, tuple[str, ...]]:
        """Claim id → open revalidation triggers, one sentence each."""
        open_rows = [row.trigger for row in self.stale if row.is_open]
        return {
            claim_id: tuple(one.describe() for one in open_rows if one.claim_id == claim_id)
            for claim_id in dict.fromkeys(one.claim_id for one in open_rows)
        }

    def list_records(self, until: datetime | None = None) -> ProcessRecords:
        """Inputs of the key figures.

        Args:
            until: include only events up to this time, for a trend. The log's own status is then None, because its
                earlier values are not stored.
        """

        def is_there(at: str) -> bool:
            return until is None or parse_time(at) <= until

        events = [event for event in self.events if is_there(event.ts)]
        packs = [pack for pack in self.packs if is_there(pack.taken_at)]
        decisions = [one for one in self.decisions if is_there(one.decided_at)]
        frozen = {event.payload["claim_id"] for event in events if event.action == Action.PREREG_FROZEN}
        claims = [claim for claim in self.claims if claim.claim_id in frozen]
        return ProcessRecords(
            claims=_list_claims(claims, events),
            preregistrations=len(frozen),
            attempts=_list_attempts(events),
            deviations=tuple(
                DeviationRecord(claim.plan.prereg_id, row.kind.value)
                for claim in claims
                for row in claim.deviations
                if row.is_deviation and is_there(row.at)
            ),
            packs=_list_packs(events, packs, claims, _list_stale(self.stale, until)),
            reruns=_list_reruns(events),
            approvals=_list_approvals(events, packs, decisions),
            log=None if until is not None else _read_log(self.status, events),
        )


def read_home(home: Path) -> HomeFacts:
    """Read register, log and desk."""
    claims = Register(home).list_claims()
    with open_database(home) as connection:
        return HomeFacts(
            claims,
            list_events(connection),
            list_packs(connection),
            list_decisions(connection),
            read_status(connection, now=read_record_clock(home)),
            read_stale(connection),
        )


def _list_claims(claims: Sequence[RegisteredClaim], events: Sequence[AuditEvent]) -> tuple[ClaimRecord, ...]:
    withdrawn = {event.object_id for event in events if event.action == Action.CLAIM_WITHDRAWN}
    tested = {event.payload["claim_id"] for event in events if event.action == Action.VERDICT_REACHED}

    def name_status(claim_id: str) -> str:
        if claim_id in withdrawn:
            return "withdrawn"
        return "tested" if claim_id in tested else "preregistered"

    return tuple(ClaimRecord(one.claim_id, name_status(one.claim_id), one.plans[0].frozen_at) for one in claims)


def _list_attempts(events: Sequence[AuditEvent]) -> tuple[AttemptRecord, ...]:
    return tuple(
        AttemptRecord(event.object_id, str(event.payload["claim_id"]), event.ts)
        for event in events
        if event.action == Action.RUN_STARTED and event.payload.get("claim_id")
    )


def _list_packs(
    events: Sequence[AuditEvent],
    packs: Sequence[DeskPack],
    claims: Sequence[RegisteredClaim],
    stale: Mapping[str, tuple[str, ...]],
) -> tuple[PackRecord, ...]:
    """Packs exported here or submitted to the desk; `is_verified` needs the desk and a known signer."""
    expiry = {claim.claim_id: claim.expires_at for claim in claims}
    on_desk = {pack.pack_id: pack for pack in packs}
    exported = {
        event.object_id: tuple(event.payload["claims"]) for event in events if event.action == Action.PACK_EXPORTED
    }
    refused = {event.object_id for event in events if event.action == Action.PACK_REFUSED}
    named = {pack_id: found for pack_id, found in exported.items() if pack_id not in refused}
    named |= {pack.pack_id: pack.claim_ids for pack in packs}
    newest = {claim_id: pack_id for pack_id, claim_ids in named.items() for claim_id in claim_ids}
    return tuple(
        PackRecord(
            pack_id,
            claim_ids,
            on_desk[pack_id].check_found == "SIGNER_VERIFIED" if pack_id in on_desk else None,
            min((expiry[one] for one in claim_ids if one in expiry), default=None),
            tuple(reason for one in claim_ids for reason in stale.get(one, ())),
            is_superseded=all(newest[one] != pack_id for one in claim_ids),
        )
        for pack_id, claim_ids in named.items()
    )


def _list_stale(rows: Sequence[StaleRow], until: datetime | None) -> dict[str, tuple[str, ...]]:
    """Claim id → open revalidation triggers."""
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        came, went = parse_time(row.trigger.at), None if row.is_open else parse_time(row.answered_at)
        is_open = row.is_open if until is None else came <= until and (went is None or went > until)
        if is_open:
            found[row.trigger.claim_id] = (*found.get(row.trigger.claim_id, ()), row.trigger.kind.value)
    return found


def _list_reruns(events: Sequence[AuditEvent]) -> tuple[RerunRecord, ...]:
    return tuple(
        RerunRecord(
            str(event.payload["pack_id"]),
            event.payload["L0"] == "COMPARABLE",
            _read_level(event.payload["L2"], "WITHIN_TOLERANCE"),
            _read_level(event.payload["L3"], "DECISION_EQUAL"),
        )
        for event in events
        if event.action == Action.RERUN_COMPARED
    )


def _read_level(found: str, wanted: str) -> bool | None:
    return None if found == "NOT_EVALUATED" else found == wanted


def _list_approvals(
    events: Sequence[AuditEvent], packs: Sequence[DeskPack], decisions: Sequence[DeskDecision]
) -> tuple[ApprovalRecord, ...]:
    by_root = {pack.root_digest: pack.pack_id for pack in packs}
    prepared = [
        ApprovalRecord(event.object_id, "preparer", event.actor, None, event.ts)
        for event in events
        if event.action == Action.PACK_EXPORTED
    ]
    return (
        *prepared,
        *(
            ApprovalRecord(by_root[one.root_digest], one.role, one.person, one.decision, one.decided_at)
            for one in decisions
        ),
    )


def _read_log(status: LogStatus, events: Sequence[AuditEvent]) -> LogRecord:
    checked = [event.ts for event in events if event.action == Action.LOG_VERIFIED]
    anchored = [
        event.ts
        for event in events
        if event.action == Action.CHECKPOINT_ANCHORED and event.payload["size"] == status.anchored_size
    ]
    return LogRecord(
        status.size,
        events[0].ts if events else None,
        status.anchored_size or None,
        anchored[-1] if anchored else None,
        checked[-1] if checked else None,
    )
