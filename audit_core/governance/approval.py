"""Four-eyes rule: whether enough different persons signed a pack, by keys of an external trust file."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from audit_core.governance.policy import Policy
from audit_core.verifier.criteria import DOES_NOT_MEET, INCONCLUSIVE, MEETS, NOT_EVALUATED


@dataclass(frozen=True)
class CheckedSignature:
    """A signed statement about the pack whose signature, subject, key and role the verifier checked against the trust file."""

    role: str
    """preparer, reviewer or approver."""
    person: str
    """The key's owner by the trust file, not by the statement itself."""
    decision: str | None = None
    """approve, reject or approve_with_conditions; None for a preparer."""
    at: str = ""
    """RFC 3339, by the signer's own clock."""
    expires_at: str | None = None
    sha256: str = ""
    """Of the signed envelope."""
    decisions_seen: tuple[str, ...] | None = None
    """SHA-256 of each decision in the pack when this one was signed; None where that was not recorded."""


def name_person(name: str) -> str:
    """Normalize a person's name, so that two keys of one person count as one person."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def parse_time(text: object) -> datetime | None:
    """Parse an RFC 3339 time, or a date as its end; None where it is neither or has no time zone."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if len(text) == 10:
        return found.replace(tzinfo=UTC) + timedelta(days=1)
    return None if found.tzinfo is None else found


def judge_four_eyes(policy: Policy, signatures: Sequence[CheckedSignature], now: datetime) -> tuple[str, str | None]:
    """Whether the policy's separation of persons is met by approvals in force.

    Returns:
        A result of `evaluate_policy` and, where it is not MEETS, why.
    """
    trusted = [found for found in signatures if name_person(found.person)]
    preparers = {name_person(found.person) for found in trusted if found.role == "preparer"}
    if not preparers:
        return NOT_EVALUATED, "no trusted preparer signed"
    latest = _find_latest([found for found in trusted if found.role in ("reviewer", "approver")])
    if rejecting := sorted(found.person for found in latest if found.decision == "reject"):
        return DOES_NOT_MEET, f"rejected by {', '.join(rejecting)}"
    in_force = [found for found in latest if _is_in_force(found, policy.max_age_days, now)]
    if any(found.decision == "approve_with_conditions" for found in in_force):
        return INCONCLUSIVE, "approved with conditions that are not recorded as met"
    approving = [found for found in in_force if found.decision == "approve"]
    reviewers = {name_person(found.person) for found in approving if found.role == "reviewer"}
    approvers = {name_person(found.person) for found in approving if found.role == "approver"}
    return _judge_persons(policy, preparers, reviewers, approvers)


def _judge_persons(
    policy: Policy, preparers: set[str], reviewers: set[str], approvers: set[str]
) -> tuple[str, str | None]:
    if not reviewers:
        return NOT_EVALUATED, "no approval of a trusted reviewer is in force"
    if policy.preparer_ne_reviewer and not reviewers - preparers:
        return DOES_NOT_MEET, "the only reviewer prepared the pack"
    if not policy.reviewer_ne_approver:
        return MEETS, None
    if not approvers:
        return NOT_EVALUATED, "no approval of a trusted approver is in force"
    others = approvers - preparers
    allowed = reviewers - preparers if policy.preparer_ne_reviewer else reviewers
    if not any(reviewer != approver for reviewer in allowed for approver in others):
        return DOES_NOT_MEET, "no approver is another person than preparer and reviewer"
    return MEETS, None


def _find_latest(found: Sequence[CheckedSignature]) -> list[CheckedSignature]:
    """The latest decision of each person in each role; an invalid time counts as the oldest.

    A decision that a later decision of the same person names is older, regardless of its timestamp.
    """
    beginning = datetime.min.replace(tzinfo=UTC)
    latest: dict[tuple[str, str], CheckedSignature] = {}
    replaced = {(one.role, name_person(one.person), digest) for one in found for digest in one.decisions_seen or ()}
    last = [one for one in found if (one.role, name_person(one.person), one.sha256) not in replaced]
    for signature in sorted(last, key=lambda one: (parse_time(one.at) or beginning, one.decision == "reject")):
        latest[signature.role, name_person(signature.person)] = signature
    return list(latest.values())


def _is_in_force(found: CheckedSignature, max_age_days: int, now: datetime) -> bool:
    at = parse_time(found.at)
    if at is None or at > now or now - at > timedelta(days=max_age_days):
        return False
    if found.expires_at is None:
        return True
    until = parse_time(found.expires_at)
    return until is not None and now < until
