"""Four eyes: who counts as another person, and which approvals are in force."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from toy.policies import read_toy

from audit_core.governance.approval import CheckedSignature, judge_four_eyes, name_person, parse_time
from audit_core.verifier.criteria import DOES_NOT_MEET, INCONCLUSIVE, MEETS, NOT_EVALUATED

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PREPARER = CheckedSignature("preparer", "Ada", at="2026-11-01T00:00:00Z")
REVIEWER = CheckedSignature("reviewer", "Ben", "approve", "2026-11-10T00:00:00Z")
APPROVER = CheckedSignature("approver", "Cleo", "approve", "2026-11-12T00:00:00Z")


def change(base: CheckedSignature, **fields: str | None) -> CheckedSignature:
    return CheckedSignature(**{**vars(base), **fields})  # type: ignore[arg-type]


def judge(*signatures: CheckedSignature, approval: str = "") -> str:
    changes = (("[gate]", f"[approval]\n{approval}\n[gate]"),) if approval else ()
    result, reason = judge_four_eyes(read_toy(*changes), signatures, NOW)
    assert (reason is None) is (result == MEETS)
    return result


def test_three_persons_are_four_eyes() -> None:
    assert judge(PREPARER, REVIEWER, APPROVER) == MEETS


@pytest.mark.parametrize(
    "signatures",
    [(), (REVIEWER, APPROVER), (PREPARER,), (PREPARER, APPROVER), (PREPARER, REVIEWER), (change(PREPARER, person=" "), REVIEWER, APPROVER)],
)  # fmt: skip
def test_a_missing_signer_leaves_it_not_evaluated(signatures: tuple[CheckedSignature, ...]) -> None:
    assert judge(*signatures) == NOT_EVALUATED


@pytest.mark.parametrize("name", ["Ada", "ADA", " ada ", "Ａｄａ"])
def test_the_preparer_cannot_review_under_any_spelling(name: str) -> None:
    assert judge(PREPARER, change(REVIEWER, person=name), APPROVER) == DOES_NOT_MEET
    assert judge(PREPARER, REVIEWER, change(APPROVER, person=name)) == DOES_NOT_MEET


def test_the_reviewer_cannot_approve() -> None:
    assert judge(PREPARER, REVIEWER, change(APPROVER, person="ben")) == DOES_NOT_MEET


def test_one_more_person_puts_it_right() -> None:
    assert judge(PREPARER, change(REVIEWER, person="Ada"), REVIEWER, change(APPROVER, person="Ben"), APPROVER) == MEETS


def test_two_preparers_are_both_preparers() -> None:
    assert judge(PREPARER, change(PREPARER, person="Ben"), REVIEWER, APPROVER) == DOES_NOT_MEET


def test_a_policy_may_ask_for_less() -> None:
    assert judge(PREPARER, REVIEWER, approval="reviewer_ne_approver = false") == MEETS
    own = change(REVIEWER, person="Ada")
    assert judge(PREPARER, own, approval="reviewer_ne_approver = false") == DOES_NOT_MEET
    assert judge(PREPARER, own, APPROVER, approval="preparer_ne_reviewer = false") == MEETS
    assert (
        judge(PREPARER, own, change(APPROVER, person="Ada"), approval="preparer_ne_reviewer = false") == DOES_NOT_MEET
    )


def test_a_rejection_weighs_more_than_any_approval() -> None:
    assert judge(PREPARER, REVIEWER, APPROVER, change(REVIEWER, person="Dora", decision="reject")) == DOES_NOT_MEET


def test_what_a_person_said_last_counts() -> None:
    earlier = change(REVIEWER, decision="reject", at="2026-11-05T00:00:00Z")
    later = change(REVIEWER, decision="reject", at="2026-11-15T00:00:00Z")
    assert judge(PREPARER, earlier, REVIEWER, APPROVER) == MEETS
    assert judge(PREPARER, REVIEWER, later, APPROVER) == DOES_NOT_MEET
    assert judge(PREPARER, change(REVIEWER, decision="reject"), REVIEWER, APPROVER) == DOES_NOT_MEET


def test_open_conditions_leave_it_open() -> None:
    assert judge(PREPARER, REVIEWER, change(APPROVER, decision="approve_with_conditions")) == INCONCLUSIVE


@pytest.mark.parametrize(
    "fields",
    [
        {"at": "2026-05-24T00:00:00Z"},
        {"at": "2026-11-22T00:00:00Z"},
        {"at": ""},
        {"at": "2026-11-10T00:00:00"},
        {"expires_at": "2026-11-21T00:00:00Z"},
        {"expires_at": "soon"},
        {"decision": "perhaps"},
        {"decision": None},
    ],
)
def test_an_approval_out_of_force_is_none(fields: dict[str, str | None]) -> None:
    """180 days before 2026-11-21 is 2026-05-25."""
    assert judge(PREPARER, change(REVIEWER, **fields), APPROVER) == NOT_EVALUATED


def test_an_approval_at_the_edge_is_in_force() -> None:
    assert judge(PREPARER, change(REVIEWER, at="2026-05-25T00:00:00Z"), APPROVER) == MEETS
    assert judge(PREPARER, change(REVIEWER, expires_at="2026-11-21T00:00:01Z"), APPROVER) == MEETS


def test_names_and_times_are_read_in_one_way() -> None:
    assert name_person("  Ada   Lovelace ") == name_person("ADA LOVELACE")
    assert parse_time("2026-11-21") == datetime(2026, 11, 22, tzinfo=UTC)
    assert parse_time(None) is parse_time(3) is parse_time("2026-13-01") is None
