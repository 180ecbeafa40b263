"""A finding: its current state, folded from changes that are only ever appended."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from audit_core.errors import FindingRefused
from audit_core.verifier.findings import fold_finding

MAX_TITLE, MAX_TEXT, MAX_OWNER, MAX_REASON, MAX_SOURCES = 160, 4_000, 120, 2_000, 20
"""Longest title, text, owner and reason in characters, and most claims or runs of one finding."""
FINDING_LIMITS = {
    "title": MAX_TITLE,
    "finding": MAX_TEXT,
    "remediation": MAX_TEXT,
    "owner": MAX_OWNER,
    "reason": MAX_REASON,
}
"""Longest text of each field in characters."""
FIRST_DAY, LAST_DAY = "2000-01-01", "2999-12-31"
_KEPT_CONTROLS = "\n\t"


class FindingStatus(StrEnum):
    """Status of a finding."""

    OPEN = "open"
    IN_REMEDIATION = "in_remediation"
    CLOSED = "closed"
    ACCEPTED = "accepted"
    """A person takes responsibility for leaving it as it is."""


ACTIVE_STATUSES = (FindingStatus.OPEN, FindingStatus.IN_REMEDIATION)


class FindingStep(StrEnum):
    """Kind of a change; each is logged as an event of its own kind."""

    RECORDED = "recorded"
    CHANGED = "changed"
    CLOSED = "closed"
    ACCEPTED = "accepted"
    REOPENED = "reopened"


@dataclass(frozen=True)
class FindingChange:
    """One row of a finding's history."""

    finding_id: str
    version: int
    """1 for the record itself."""
    at: str
    by: str
    step: FindingStep
    reason: str
    fields: Mapping[str, Any]
    """Changed fields with their new values."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"step": self.step.value, "fields": dict(self.fields)}


@dataclass(frozen=True)
class RegisteredFinding:
    """A finding as it is now."""

    finding_id: str
    severity: str
    days: int
    """Days to the due date that its severity allows."""
    title: str
    finding: str
    remediation: str
    owner: str
    due: str
    """Date, UTC."""
    status: FindingStatus
    model: str
    claims: tuple[str, ...]
    runs: tuple[str, ...]
    basis: str
    """The suggestion that it was recorded from, as read from the result; empty without one."""
    policy_sha256: str
    history: tuple[FindingChange, ...]

    @property
    def version(self) -> int:
        return self.history[-1].version

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE_STATUSES

    @property
    def status_words(self) -> str:
        """Status for a reader, such as "accepted by anna"."""
        by = f" by {self.history[-1].by}" if self.status is FindingStatus.ACCEPTED else ""
        return self.status.value.replace("_", " ") + by

    def is_overdue(self, today: date) -> bool:
        """Whether it is still to be resolved after its due date."""
        return self.is_active and date.fromisoformat(self.due) < today

    def to_json(self) -> dict[str, Any]:
        """The form of a pack: state and history."""
        history = [change.to_json() for change in self.history]
        return {"finding_id": self.finding_id, "state": fold_finding(history), "history": history}


@dataclass(frozen=True)
class FindingDraft:
    """What a person records."""

    severity: str
    title: str
    finding: str
    remediation: str
    owner: str
    due: str = ""
    """Date, UTC; empty for the latest that the policy allows."""
    claims: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    basis: str = ""


@dataclass(frozen=True)
class FindingEdit:
    """New values of a finding's fields; None leaves a field as it is."""

    severity: str | None = None
    title: str | None = None
    finding: str | None = None
    remediation: str | None = None
    owner: str | None = None
    due: str | None = None
    status: FindingStatus | None = None


def parse_change(body: Mapping[str, Any]) -> FindingChange:
    """Read a change from its stored form."""
    return FindingChange(**{**body, "step": FindingStep(body["step"])})


def fold_changes(history: Sequence[FindingChange]) -> RegisteredFinding:
    """Return the finding that these changes lead to, oldest first."""
    state = fold_finding(change.to_json() for change in history)
    state |= {
        "status": FindingStatus(state["status"]),
        "claims": tuple(state["claims"]),
        "runs": tuple(state["runs"]),
    }
    return RegisteredFinding(finding_id=history[0].finding_id, history=tuple(history), **state)


def check_text(text: str, what: str, most: int, *, may_be_empty: bool = False) -> str:
    """Return a text without outer spaces.

    Raises:
        FindingRefused: empty, too long, or with characters that no document can hold or show.
    """
    found = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not (len(found) <= most and (found or may_be_empty)):
        raise FindingRefused(
            f"{len(found):,} characters for the {what}.",
            wanted=f"{0 if may_be_empty else 1} to {most:,}.",
            remedy="shorten it." if found else "fill in the field; nothing was saved.",
        )
    # Surrogates and control characters: no canonical form, or no place in a calendar file.
    if bad := [one for one in found if unicodedata.category(one) in ("Cc", "Cs") and one not in _KEPT_CONTROLS]:
        raise FindingRefused(
            f"The {what} contains {bad[0]!a}.", wanted="text without control characters.", remedy="remove it."
        )
    return found


def check_line(text: str, what: str, most: int) -> str:
    """As `check_text`, in one line."""
    return " ".join(check_text(text, what, most).split())


def check_date(text: str, what: str) -> str:
    """Return a date as `YYYY-MM-DD`.

    Raises:
        FindingRefused: not a date in that form.
    """
    try:
        if date.fromisoformat(text).isoformat() == text and FIRST_DAY <= text <= LAST_DAY:
            return text
    except ValueError:
        pass
    raise FindingRefused(f"{text[:40]!r} as {what}.", wanted="a date such as 2027-03-31.", remedy="correct it.")
