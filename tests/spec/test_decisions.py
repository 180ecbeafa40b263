"""Decisions stay: a signed decision names those before it, so that taking one out of a pack shows."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from toy.packs import (
    ANNA,
    BEN,
    CLEO,
    LOG,
    MALLORY,
    POLICY,
    ToyKey,
    approve,
    check,
    edit,
    genuine_members,
    retell,
    write_trust,
    zip_up,
)

from audit_core.errors import DecisionRefused, IntegrityError, Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.statement import Approval, sign_approval
from audit_core.governance.approval import CheckedSignature, judge_four_eyes
from audit_core.governance.gate import GateResult
from audit_core.governance.gate_report import describe_gate, write_junit
from audit_core.governance.policy import parse_policy
from audit_core.review.checked_pack import gate_pack
from audit_core.review.desk import assemble_pack, decide, take_pack
from audit_core.review.desk_record import consult_desk
from audit_core.review.desk_rules import Decider, ReviewDecision
from audit_core.review.file_approval import approve_file
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, list_events
from audit_core.verifier.command import describe_lines
from audit_core.verifier.criteria import DOES_NOT_MEET, MEETS
from audit_core.verifier.trust import read_trust

DORA = ToyKey("dora")
TRUST = write_trust((ANNA, "preparer"), (BEN, "reviewer"), (CLEO, "approver"), (DORA, "reviewer"), log=LOG)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
UNKNOWN = "decisions made after this copy are not known"


def say(key: ToyKey, role: str, decision: str, minute: int = 0) -> Approval:
    conditions = ("test on French",) if decision == "approve_with_conditions" else ()
    return Approval(role, key.person, "Toy", decision, f"2026-11-21T13:{minute:02d}:00.000000Z", None, conditions)


def sign(members: Mapping[str, bytes], *decisions: tuple[ToyKey, str, str]) -> dict[str, bytes]:
    """Sign one after the other; a later one names those before it."""
    found = dict(members)
    for minute, (key, role, decision) in enumerate(decisions):
        signed = sign_approval(found, say(key, role, decision, minute), key, "toy")
        found[signed.member] = signed.envelope
    return found


def find_member(members: Mapping[str, bytes], person: str, decision: str) -> str:
    for name, data in members.items():
        if "approval-" in name:
            said = json.loads(base64.b64decode(json.loads(data)["payload"]))["predicate"]
            if (said["person"], said["decision"]) == (person, decision):
                return name
    raise LookupError((person, decision))


def drop(members: Mapping[str, bytes], person: str, decision: str) -> dict[str, bytes]:
    gone = find_member(members, person, decision)
    return {name: data for name, data in members.items() if name != gone}


def gate(members: Mapping[str, bytes], home: Path | None = None, policy: bytes = POLICY) -> GateResult:
    return gate_pack(zip_up(members), parse_policy(policy, "toy"), read_trust(TRUST), now=NOW, home=home)


def find(result: GateResult, name: str) -> Any:
    return next((row for row in result.rows if row.id == name), None)


REVIEWED = (BEN, "reviewer", "approve")
APPROVED = (CLEO, "approver", "approve")
REJECTED = (DORA, "reviewer", "reject")


def test_a_whole_pack_meets_and_says_what_is_not_known() -> None:
    members = sign(genuine_members(), REVIEWED, APPROVED)
    found, result = check(members, TRUST), gate(members)
    assert (found.exit_code, found.decisions.result) == (0, "DECISIONS_COMPLETE")
    assert UNKNOWN in describe_lines(found)
    assert result.overall == MEETS, [(row.id, row.result, row.reason) for row in result.rows]
    assert result.decisions == f"2 signed decisions in the pack; desk not consulted: {UNKNOWN}"


@pytest.mark.parametrize("key", [BEN, DORA])
@pytest.mark.parametrize("decision", ["reject", "approve_with_conditions", "approve"])
def test_a_decision_that_an_approval_saw_cannot_be_taken_out(key: ToyKey, decision: str) -> None:
    """Ben approves after his own earlier decision where that is the one that is taken out: it is superseded, and still has to be there."""
    whole = sign(genuine_members(), (key, "reviewer", decision), REVIEWED, APPROVED)
    less = whole.copy()
    gone = next(name for name in whole if name.endswith("approval-reviewer-1.dsse.json"))
    del less[gone]
    assert check(whole, TRUST).exit_code == 0
    found, result = check(less, TRUST), gate(less)
    assert (found.exit_code, found.decisions.result) == (4, "DECISIONS_MISSING")
    assert (found.integrity, found.authenticity) == ("INTEGRITY_VERIFIED", "SIGNER_VERIFIED")
    assert "removed" in describe_lines(found)
    assert (result.overall, result.exit_code) == (DOES_NOT_MEET, 1)
    (sentence,) = found.decisions.missing
    assert sentence == find(result, "decisions").reason
    assert "signed after a decision that is not in this pack" in sentence


def test_deleting_a_rejection_does_not_turn_the_gate_to_met() -> None:
    rejected = sign(genuine_members(), REVIEWED, REJECTED, APPROVED)
    assert (find(gate(rejected), "four_eyes").reason, gate(rejected).overall) == ("rejected by dora", DOES_NOT_MEET)
    assert gate(drop(rejected, "dora", "reject")).overall == DOES_NOT_MEET


def test_one_of_two_approvals_that_saw_it_is_enough() -> None:
    eve = ToyKey("eve")
    trust = write_trust(
        (ANNA, "preparer"), (BEN, "reviewer"), (CLEO, "approver"), (DORA, "reviewer"), (eve, "approver")
    )
    members = sign(genuine_members(), REVIEWED, APPROVED, REJECTED, (eve, "approver", "approve"))
    found = check(drop(members, "dora", "reject"), trust)
    assert (found.exit_code, found.decisions.result) == (4, "DECISIONS_MISSING")
    assert "eve (approver)" in found.decisions.detail


def test_the_last_decision_is_not_missed_offline_and_that_is_said() -> None:
    members = drop(sign(genuine_members(), REVIEWED, APPROVED, REJECTED), "dora", "reject")
    assert UNKNOWN in check(members, TRUST).decisions.detail
    result = gate(members)
    assert result.overall == MEETS
    assert UNKNOWN in result.decisions
    assert UNKNOWN in describe_gate(result)["decisions"]
    assert UNKNOWN in write_junit(result).decode()


def test_decisions_of_before_are_read_and_said_to_name_nothing() -> None:
    old = approve(approve(genuine_members(), BEN, "reviewer"), CLEO, "approver")
    found, result = check(old, TRUST), gate(old)
    assert (found.exit_code, found.decisions.result) == (0, "DECISIONS_NOT_NAMED")
    assert found.decisions.silent == ("ben (reviewer)", "cleo (approver)")
    assert result.overall == MEETS
    assert "ben (reviewer), cleo (approver) did not name the decisions they saw" in result.decisions


def test_a_new_decision_names_the_old_ones_too() -> None:
    members = sign(approve(genuine_members(), BEN, "reviewer"), APPROVED)
    assert check(members, TRUST).decisions.result == "DECISIONS_NOT_NAMED"
    assert check(drop(members, "ben", "approve"), TRUST).decisions.result == "DECISIONS_MISSING"


def test_neither_the_order_of_members_nor_their_names_matter() -> None:
    members = sign(genuine_members(), REVIEWED, REJECTED, APPROVED)
    names = [name for name in members if "approval-" in name]
    rest = {name: data for name, data in members.items() if name not in names}
    for order in permutations(names):
        renamed = rest | {
            f"attestations/approval-z{number}.dsse.json": members[name] for number, name in enumerate(order)
        }
        assert check(renamed, TRUST).decisions.result == "DECISIONS_COMPLETE"
        assert find(gate(renamed), "four_eyes").result == DOES_NOT_MEET
        assert gate(drop(renamed, "dora", "reject")).overall == DOES_NOT_MEET


def test_a_decision_that_is_there_twice_counts_once() -> None:
    members = sign(genuine_members(), REVIEWED, APPROVED)
    twice = members | {"attestations/approval-again.dsse.json": members[find_member(members, "ben", "approve")]}
    found = check(twice, TRUST)
    assert (found.exit_code, len(found.decisions.present)) == (0, 2)
    assert gate(twice).decisions.startswith("2 signed decisions")
    swapped = {**drop(members, "ben", "approve"), "attestations/approval-a.dsse.json": members[find_member(members, "cleo", "approve")]}  # fmt: skip
    assert check(swapped, TRUST).decisions.result == "DECISIONS_MISSING"


def test_a_decision_about_another_pack_replaces_none() -> None:
    members = sign(genuine_members(), REVIEWED, REJECTED, APPROVED)
    other = sign(retell(lambda story: story.documents["pack.json"].update(organisation="Other")), REJECTED)
    found = check(
        {**members, find_member(members, "dora", "reject"): other[find_member(other, "dora", "reject")]}, TRUST
    )
    assert found.exit_code == 4
    assert "another manifest" in next(step.detail for step in found.steps if step.name == "statement")


def test_a_list_that_was_shortened_breaks_the_signature() -> None:
    members = sign(genuine_members(), REVIEWED, REJECTED, APPROVED)
    name = find_member(members, "cleo", "approve")
    envelope = json.loads(members[name])
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement["predicate"]["decisions_seen"].pop()
    envelope["payload"] = base64.b64encode(dump_canonical(statement)).decode()
    found = check({**drop(members, "dora", "reject"), name: dump_canonical(envelope)}, TRUST)
    assert (found.exit_code, found.authenticity) == (4, "SIGNER_FAILED")


def test_an_untrusted_key_cannot_claim_that_something_is_missing() -> None:
    members = sign(genuine_members(), REVIEWED, APPROVED)
    both = sign(members, (MALLORY, "reviewer", "reject"), (MALLORY, "reviewer", "approve"))
    less = drop(both, "mallory", "reject")
    assert (check(less, TRUST).exit_code, gate(less).overall) == (0, MEETS)
    assert check(less, TRUST).decisions.result == "DECISIONS_COMPLETE"


def test_without_a_trust_file_every_list_is_read() -> None:
    from audit_core.verifier.walk import verify_pack

    members = sign(genuine_members(), REVIEWED, REJECTED, APPROVED)
    assert "no signature was checked" in verify_pack(zip_up(members)).decisions.detail
    found = verify_pack(zip_up(drop(members, "dora", "reject")))
    assert (found.exit_code, found.decisions.result) == (4, "DECISIONS_MISSING")


def test_a_pack_that_lacks_a_decision_is_never_signed() -> None:
    members = drop(sign(genuine_members(), REVIEWED, REJECTED, APPROVED), "dora", "reject")
    with pytest.raises(IntegrityError, match="not in this pack"):
        sign(members, (ToyKey("eve"), "approver", "approve"))


def test_a_new_decision_writes_over_none_after_one_was_taken_out() -> None:
    """Two reviews, of which the first is taken out: the next one is the second by count, and that name is taken."""
    members = sign(genuine_members(), REVIEWED, REJECTED)
    gone = find_member(members, "ben", "approve")
    old = approve(genuine_members(), DORA, "reviewer", decision="reject")
    left = {**{name: data for name, data in members.items() if "approval-" not in name}}
    left["attestations/approval-reviewer-2.dsse.json"] = old[find_member(old, "dora", "reject")]
    assert gone not in left
    again = sign(left, REVIEWED)
    assert len(again) == len(left) + 1
    assert find_member(again, "dora", "reject") == "attestations/approval-reviewer-2.dsse.json"


def test_what_one_person_signed_after_their_own_decision_came_later_whatever_their_clock_says() -> None:
    """Ben's clock ran an hour ahead as he approved."""
    preparer = CheckedSignature("preparer", "Ada", at="2026-11-01T00:00:00Z")
    early = CheckedSignature("reviewer", "Ben", "approve", "2026-11-10T01:00:00Z", None, "a" * 64, ())
    late = CheckedSignature("reviewer", "Ben", "reject", "2026-11-10T00:30:00Z", None, "b" * 64, ("a" * 64,))
    approver = CheckedSignature("approver", "Cleo", "approve", "2026-11-12T00:00:00Z", None, "c" * 64, ("a" * 64,))
    policy = parse_policy(POLICY, "toy")
    for order in permutations((preparer, early, late, approver)):
        assert judge_four_eyes(policy, order, NOW) == (DOES_NOT_MEET, "rejected by Ben")


# What this installation knows beyond the copy


@pytest.fixture
def digest(tmp_path: Path) -> str:
    """Of a pack on the desk of `tmp_path`, reviewed by Ben and approved by Cleo."""
    found = take_pack(tmp_path, zip_up(genuine_members()), by="anna").root_digest
    for review_decision, key in (
        (ReviewDecision("reviewer", "approve", "x"), BEN),
        (ReviewDecision("approver", "approve", "x"), CLEO),
    ):
        decide(tmp_path, found, review_decision, Decider(key))  # type: ignore[arg-type]
    return found


def open_copy(home: Path, digest: str) -> dict[str, bytes]:
    from audit_core.verifier.container import read_members

    return dict(read_members(assemble_pack(home, digest)))


def test_the_desk_is_asked_and_a_later_rejection_is_found(tmp_path: Path, digest: str) -> None:
    copy = open_copy(tmp_path, digest)
    result = gate(copy, tmp_path)
    assert find(result, "desk") is None
    assert result.decisions == "2 signed decisions in the pack; desk consulted: 2 decisions, all in the pack"
    decide(tmp_path, digest, ReviewDecision("reviewer", "reject", "x"), Decider(DORA))  # type: ignore[arg-type]
    for lacking in (copy, drop(open_copy(tmp_path, digest), "dora", "reject")):
        result = gate(lacking, tmp_path)
        assert result.exit_code == 1
        assert "reject by dora" in find(result, "desk").reason
        assert "1 not in the pack: reject by dora" in result.decisions
    assert "desk not consulted" in gate(copy).decisions


def test_an_earlier_copy_with_nothing_in_it_lacks_what_the_desk_has(tmp_path: Path, digest: str) -> None:
    result = gate(genuine_members(), tmp_path)
    assert find(result, "desk").result == DOES_NOT_MEET
    assert "2 not in the pack" in result.decisions


def test_a_row_deleted_from_the_desk_is_still_named_by_the_log(tmp_path: Path, digest: str) -> None:
    decide(tmp_path, digest, ReviewDecision("reviewer", "reject", "x"), Decider(DORA))  # type: ignore[arg-type]
    with open_database(tmp_path) as connection:
        connection.execute("DROP TRIGGER desk_decision_kept ON desk_decision")
        connection.execute("DELETE FROM desk_decision WHERE decision = 'reject'")
    copy = open_copy(tmp_path, digest)
    assert len([name for name in copy if "approval-" in name]) == 2
    assert "reject by dora" in find(gate(copy, tmp_path), "desk").reason


def test_a_pack_that_the_desk_does_not_know_is_not_said_to_be_complete(tmp_path: Path, digest: str) -> None:
    other = sign(retell(lambda story: story.documents["pack.json"].update(organisation="Other")), REVIEWED, APPROVED)
    result = gate(other, tmp_path)
    assert find(result, "desk") is None
    assert "desk not consulted" in result.decisions
    assert consult_desk(tmp_path / "nowhere", digest) is None
    assert not (tmp_path / "nowhere").exists()


def test_where_a_policy_asks_for_nobodys_approval_a_later_decision_is_shown_and_decides_nothing(
    tmp_path: Path, digest: str
) -> None:
    policy = POLICY.replace(b', "four_eyes"]', b"]")
    row = find(gate(genuine_members(), tmp_path, policy), "desk")
    assert (row.result, row.is_required) == (DOES_NOT_MEET, False)


def test_a_decision_signed_into_a_file_is_known_to_this_installation(tmp_path: Path) -> None:
    path = tmp_path / "pack.zip"
    path.write_bytes(zip_up(sign(genuine_members(), REVIEWED, APPROVED)))
    before = path.read_bytes()
    approve_file(tmp_path, path, say(DORA, "reviewer", "reject", 9), DORA, actor="dora")
    with open_database(tmp_path) as connection:
        (event,) = list_events(connection, action=Action.DECISION_MADE)
    assert event.payload["decision"] == "reject"
    result = gate_pack(before, parse_policy(POLICY, "toy"), read_trust(TRUST), now=NOW, home=tmp_path)
    assert "reject by dora" in find(result, "desk").reason


def test_a_decision_that_could_not_be_written_is_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pack.zip"
    path.write_bytes(zip_up(genuine_members()))

    def refuse(*_: object) -> None:
        raise Refused("No room.", wanted="room.", remedy="make room.")

    monkeypatch.setattr("audit_core.review.file_approval.write_pack", refuse)
    with pytest.raises(Refused):
        approve_file(tmp_path, path, say(BEN, "reviewer", "approve"), BEN, actor="ben")
    with open_database(tmp_path) as connection:
        assert list_events(connection, action=Action.DECISION_MADE) == ()


@pytest.mark.parametrize(
    ("signed", "person", "role", "decision", "code"),
    [
        ((), CLEO, "approver", "approve", "not_reviewed"),
        ((), CLEO, "approver", "approve_with_conditions", "not_reviewed"),
        (((BEN, "reviewer", "reject"),), CLEO, "approver", "approve", "not_reviewed"),
        ((), ANNA, "reviewer", "approve", "author"),
        ((REVIEWED,), BEN, "approver", "approve", "decided_before"),
        ((), CLEO, "approver", "reject", None),
        ((), BEN, "reviewer", "approve", None),
        ((REVIEWED,), CLEO, "approver", "approve", None),
    ],
)
def test_a_file_is_approved_by_as_many_persons_as_its_policy_asks_for(
    tmp_path: Path, signed: tuple[Any, ...], person: ToyKey, role: str, decision: str, code: str | None
) -> None:
    path = tmp_path / "pack.zip"
    path.write_bytes(zip_up(sign(genuine_members(), *signed)))
    before = path.read_bytes()
    if code is not None:
        with pytest.raises(DecisionRefused) as refused:
            approve_file(tmp_path, path, say(person, role, decision, 9), person, actor=person.person)
        assert refused.value.code == code
    else:
        approve_file(tmp_path, path, say(person, role, decision, 9), person, actor=person.person)
    assert (path.read_bytes() == before) is (code is not None)
    with open_database(tmp_path) as connection:
        made = list_events(connection, action=Action.DECISION_MADE)
        left = [event.payload["reason"] for event in list_events(connection, action=Action.DECISION_REFUSED)]
    assert (len(made), left) == ((1, []) if code is None else (0, [code]))


def test_a_file_whose_policy_asks_for_one_person_is_approved_without_a_review(tmp_path: Path) -> None:
    def lower(resolved: dict[str, Any]) -> dict[str, Any]:
        return resolved | {"approval": resolved["approval"] | {"reviewer_ne_approver": False}}

    path = tmp_path / "pack.zip"
    path.write_bytes(zip_up(edit("policy/policy.resolved.json", lower)))
    approve_file(tmp_path, path, say(CLEO, "approver", "approve"), CLEO, actor="cleo")
    with pytest.raises(DecisionRefused, match="prepared this pack"):
        approve_file(tmp_path, path, say(ANNA, "reviewer", "approve", 1), ANNA, actor="anna")
