"""Counts behind each key figure of the process; a count that cannot be made returns a reason instead of zero."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from statistics import median

from audit_core.governance.approval import name_person, parse_time
from audit_core.governance.records import ApprovalRecord, ClaimRecord, LogRecord, PackRecord, ProcessRecords

Counted = tuple[float, int] | str
"""A value and the number of items counted, or the reason why there is no value."""
_IN_USE = ("preregistered", "tested")


def count_evidence(records: ProcessRecords, now: datetime) -> Counted:
    claims: Sequence[ClaimRecord] = [one for one in records.claims or () if one.status in _IN_USE]
    packs: Sequence[PackRecord] = [pack for pack in records.packs or () if not pack.is_superseded]
    checked = {claim_id for pack in packs if pack.is_verified for claim_id in pack.claim_ids}
    unknown = {claim_id for pack in packs if pack.is_verified is None for claim_id in pack.claim_ids} - checked
    if any(one.claim_id in unknown for one in claims):
        return "packs that no verifier has checked"
    return _share([one.claim_id in checked for one in claims], "no claim in the register is in use")


def count_preregistered(records: ProcessRecords, now: datetime) -> Counted:
    frozen = {one.claim_id: parse_time(one.frozen_at) for one in records.claims or ()}
    first: dict[str, datetime] = {}
    for run in records.attempts or ():
        started = parse_time(run.started_at)
        if started is None:
            return f"the start of run {run.run_id[:40]} cannot be read"
        first[run.claim_id] = min(started, first.get(run.claim_id, started))
    before = [(at := frozen.get(claim_id)) is not None and at < start for claim_id, start in first.items()]
    return _share(before, "no confirmatory run")


def count_deviations(records: ProcessRecords, now: datetime) -> Counted:
    if not records.preregistrations:
        return "no preregistration"
    return len(records.deviations or ()) / records.preregistrations, records.preregistrations


def count_attempts(records: ProcessRecords, now: datetime) -> Counted:
    reported = {claim_id for pack in records.packs or () for claim_id in pack.claim_ids}
    if not reported:
        return "no claim is reported"
    return len(records.attempts or ()) / len(reported), len(reported)


def count_reproduced(records: ProcessRecords, now: datetime) -> Counted:
    known = [one.is_decision_equal for one in records.reruns or () if one.is_comparable]
    return _share([flag for flag in known if flag is not None], "no comparable rerun reached a decision")


def count_within_tolerance(records: ProcessRecords, now: datetime) -> Counted:
    known = [one.is_within_tolerance for one in records.reruns or () if one.is_comparable]
    return _share([flag for flag in known if flag is not None], "no comparable rerun has numbers")


def count_four_eyes(records: ProcessRecords, now: datetime) -> Counted:
    signed = [rows for rows in _group_by_pack(records) if any(_approves(row) for row in rows)]
    return _share([_has_four_eyes(rows) for rows in signed], "no pack is signed by a reviewer or approver")


def count_review_h(records: ProcessRecords, now: datetime) -> Counted:
    hours = []
    for rows in _group_by_pack(records):
        prepared = [at for row in rows if row.role == "preparer" and (at := parse_time(row.at))]
        reviewed = [at for row in rows if row.role == "reviewer" and (at := parse_time(row.at))]
        if prepared and reviewed:
            hours.append((min(reviewed) - min(prepared)).total_seconds() / 3600)
    if not hours:
        return "no pack has both a preparer's and a reviewer's time"
    if min(hours) < 0:
        return "a review is dated before its pack: a clock is wrong"
    return median(hours), len(hours)


def count_stale(records: ProcessRecords, now: datetime) -> Counted:
    stale = []
    for pack in (pack for pack in records.packs or () if not pack.is_superseded):
        until = parse_time(pack.expires_at)
        # An invalid date counts as expired.
        has_expired = pack.expires_at is not None and (until is None or until <= now)
        stale.append(has_expired or bool(pack.open_triggers))
    return _share(stale, "no active pack")


def count_unanchored_events(records: ProcessRecords, now: datetime) -> Counted:
    log = records.log
    if log is None or not log.size:
        return "the log is empty"
    return float(log.size - (log.anchored_size or 0)), log.size


def count_unanchored_s(records: ProcessRecords, now: datetime) -> Counted:
    """Without any anchor, since the log began."""
    log = records.log
    return "the log is empty" if log is None else _measure_age(log, log.anchored_at or log.began_at, now)


def count_verified_s(records: ProcessRecords, now: datetime) -> Counted:
    log = records.log
    if log is None or log.verified_at is None:
        return "the log was never checked"
    return _measure_age(log, log.verified_at, now)


def _share(flags: Sequence[bool], nothing: str) -> Counted:
    return (sum(flags) / len(flags), len(flags)) if flags else nothing


def _measure_age(log: LogRecord, text: str | None, now: datetime) -> Counted:
    at = parse_time(text)
    if text is None:
        return "the log is empty"
    if at is None:
        return "its time cannot be read"
    if at > now:
        return "its time lies in the future: a clock is wrong"
    return (now - at).total_seconds(), log.size


def _group_by_pack(records: ProcessRecords) -> list[list[ApprovalRecord]]:
    found: dict[str, list[ApprovalRecord]] = {}
    for row in records.approvals or ():
        found.setdefault(row.pack_id, []).append(row)
    return list(found.values())


def _approves(row: ApprovalRecord) -> bool:
    return row.role in ("reviewer", "approver") and row.decision == "approve"


def _has_four_eyes(rows: Sequence[ApprovalRecord]) -> bool:
    preparers = {name_person(row.person) for row in rows if row.role == "preparer"}
    reviewers = {name_person(row.person) for row in rows if row.role == "reviewer" and _approves(row)}
    return bool(preparers) and bool(reviewers - preparers)
