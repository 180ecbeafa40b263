"""Notices: findings that are due, triggers that are open, claims that expire; a list to read, sent nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from audit_core.findings.suggested import find_rules
from audit_core.governance.severities import DEFAULT_NOTICE_DAYS
from audit_core.store.claims.change_log import list_stale
from audit_core.store.claims.register import Register
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import find_log_id
from audit_core.store.findings.register import FindingRegister


class NoticeKind(StrEnum):
    """What a notice is about, the most urgent first."""

    OVERDUE = "overdue finding"
    DUE = "finding due soon"
    TRIGGER = "open trigger"
    EXPIRING = "claim due for review"


@dataclass(frozen=True)
class Notice:
    """One thing that waits for a person."""

    uid: str
    """Equal in every copy for the same finding, trigger or claim of one log."""
    kind: NoticeKind
    about: str
    """Id of the finding or claim."""
    title: str
    text: str
    day: str
    """Date, UTC: due, expiring, or when the trigger was recorded."""
    who: str
    """Owner of the finding or claim."""
    changed_at: str
    """RFC 3339: the last change of what it is about."""


def list_notices(home: Path, *, now: datetime) -> tuple[Notice, ...]:
    """List what waits for a person, by urgency and then by date.

    Raises:
        IntegrityError: findings, triggers or plans differ from the audit log.
    """
    with open_database(home) as connection:
        log_id = find_log_id(connection).replace("/", "-")
    found = [*_of_findings(home, now.date(), log_id), *_of_claims(home, now.date(), log_id)]
    return tuple(sorted(found, key=lambda one: (list(NoticeKind).index(one.kind), one.day, one.about)))


def _of_findings(home: Path, today: date, log_id: str) -> Iterator[Notice]:
    for one in FindingRegister(home).list_findings():
        if not one.is_active:
            continue
        soon = today + timedelta(days=find_rules(home, one.claims).notice_days)
        if date.fromisoformat(one.due) > soon:
            continue
        kind = NoticeKind.OVERDUE if one.is_overdue(today) else NoticeKind.DUE
        text = f"{one.severity}, {one.status_words}, due {one.due}. {one.finding}"
        if one.remediation:
            text += f"\nRemediation: {one.remediation}"
        yield Notice(
            f"{one.finding_id}@{log_id}", kind, one.finding_id, one.title, text, one.due, one.owner, one.history[-1].at
        )


def _of_claims(home: Path, today: date, log_id: str) -> Iterator[Notice]:
    claims = {known.claim_id: known for known in Register(home).list_claims() if not known.withdrawn}
    for row in list_stale(home):
        if row.is_open and (known := claims.get(row.trigger.claim_id)) is not None:
            trigger = row.trigger
            yield Notice(
                f"trigger-{row.number}@{log_id}", NoticeKind.TRIGGER, known.claim_id, f"{known.claim_id} must be tested again: {trigger.kind.replace('_', ' ')}",
                trigger.describe(), trigger.at[:10], known.owner, trigger.at,
            )  # fmt: skip
    soon = (today + timedelta(days=DEFAULT_NOTICE_DAYS)).isoformat()
    for known in claims.values():
        if known.expires_at <= soon:
            yield Notice(
                f"{known.claim_id}@{log_id}", NoticeKind.EXPIRING, known.claim_id, f"Review {known.claim_id}",
                f"Its evidence is to be reviewed by {known.expires_at}. {known.plan.claim.name}", known.expires_at, known.owner,
                known.plan.frozen_at,
            )  # fmt: skip
