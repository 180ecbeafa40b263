"""The review desk: three persons decide about one pack, each once, and their signatures leave with it."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from toy.packs import ANNA, BEN, CLEO, MALLORY, ToyKey, approve, genuine_members, retell, write_trust, zip_up

from audit_core.errors import DecisionRefused, IntegrityError, Refused
from audit_core.review.desk import assemble_pack, decide, list_cases, take_pack
from audit_core.review.desk_rules import Case, Decider, ReviewDecision
from audit_core.review.review_agreement import compute_kappa, measure_agreement
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, list_events
from audit_core.store.desk.desk_rows import DeskDecision, DeskPack
from audit_core.verifier.container import read_members
from audit_core.verifier.manifest import PACK_ENVELOPE
from audit_core.verifier.trust import read_trust
from audit_core.verifier.walk import verify_pack

REVIEW = ReviewDecision("reviewer", "approve", "another team")
APPROVAL = ReviewDecision("approver", "approve", "another department")
REJECTION = ReviewDecision("reviewer", "reject", "another team")
DORA = ToyKey("dora")


@pytest.fixture
def pack(tmp_path: Path) -> str:
    """Digest of a pack on the desk of `tmp_path`; Anna prepared it."""
    return take_pack(tmp_path, zip_up(genuine_members()), by="anna").root_digest


def rule(home: Path, pack: str, review_decision: ReviewDecision, key: ToyKey, account: str = "") -> None:
    decide(home, pack, review_decision, Decider(key, account))  # type: ignore[arg-type]


def refusals(home: Path) -> list[str]:
    with open_database(home) as connection:
        return [event.payload["reason"] for event in list_events(connection, action=Action.DECISION_REFUSED)]


def state(home: Path) -> str:
    return list_cases(home)[0].state


def test_two_signatures_leave_with_the_pack_and_a_verifier_finds_them(tmp_path: Path, pack: str) -> None:
    rule(tmp_path, pack, replace(REVIEW, evidence_viewed=("C-0001: items",)), BEN)
    rule(tmp_path, pack, APPROVAL, CLEO)
    found = verify_pack(assemble_pack(tmp_path, pack), read_trust(write_trust()))
    assert found.exit_code == 0
    assert [(one.role, one.person, one.decision) for one in found.signers] == [
        ("preparer", "anna", None), ("approver", "cleo", "approve"), ("reviewer", "ben", "approve"),
    ]  # fmt: skip
    assert found.manifest_sha256 == pack


def test_the_pack_as_it_was_prepared_stays_on_the_desk_byte_for_byte(tmp_path: Path, pack: str) -> None:
    (kept,) = (tmp_path / "desk").glob("*.zip")
    before = kept.read_bytes()
    rule(tmp_path, pack, REVIEW, BEN)
    assert kept.read_bytes() == before
    assert len(read_members(assemble_pack(tmp_path, pack))) == len(read_members(before)) + 1


def test_each_decision_is_an_event_of_the_same_transaction(tmp_path: Path, pack: str) -> None:
    rule(tmp_path, pack, REVIEW, BEN, "https://idp|ben")
    with open_database(tmp_path) as connection:
        (event,) = list_events(connection, action=Action.DECISION_MADE)
    assert event.actor == "https://idp|ben"
    assert (event.payload["root_digest"], event.payload["decision"]) == (pack, "approve")


def test_the_state_follows_the_decisions(tmp_path: Path, pack: str) -> None:
    seen = [state(tmp_path)]
    for review_decision, key in ((REVIEW, BEN), (APPROVAL, CLEO), (REJECTION, DORA)):
        rule(tmp_path, pack, review_decision, key)
        seen.append(state(tmp_path))
    assert seen == ["waiting for review", "waiting for approval", "signed by all three", "rejected"]


def test_conditions_stay_visible_in_the_state(tmp_path: Path, pack: str) -> None:
    rule(
        tmp_path, pack, ReviewDecision("reviewer", "approve_with_conditions", "another team", ("test on French",)), BEN
    )
    rule(tmp_path, pack, APPROVAL, CLEO)
    assert state(tmp_path) == "signed with conditions"


@pytest.mark.parametrize(
    ("review_decision", "key", "account", "code"),
    [
        (REVIEW, ANNA, "", "author"),
        (replace(REVIEW, decision="reject"), ANNA, "", "author"),
        (REVIEW, MALLORY, "  ANNA ", "author"),
        (REVIEW, ToyKey("Ａnna"), "", "author"),
        (APPROVAL, CLEO, "", "not_reviewed"),
        (replace(REVIEW, independence="  "), BEN, "", "no_independence_statement"),
        (replace(REVIEW, decision="approve_with_conditions"), BEN, "", "conditions_do_not_fit"),
        (replace(REVIEW, conditions=("one",)), BEN, "", "conditions_do_not_fit"),
    ],
)
def test_who_may_not_decide_is_refused_and_the_log_says_so(
    tmp_path: Path, pack: str, review_decision: ReviewDecision, key: ToyKey, account: str, code: str
) -> None:
    with pytest.raises(DecisionRefused):
        rule(tmp_path, pack, review_decision, key, account)
    assert refusals(tmp_path) == [code]
    assert state(tmp_path) == "waiting for review"


@pytest.mark.parametrize(("key", "account"), [(BEN, ""), (DORA, "ben"), (ToyKey("BEN"), ""), (DORA, "idp|1")])
def test_one_person_with_two_keys_or_two_accounts_does_not_approve_what_they_reviewed(
    tmp_path: Path, pack: str, key: ToyKey, account: str
) -> None:
    rule(tmp_path, pack, REVIEW, BEN, "idp|1")
    with pytest.raises(DecisionRefused):
        rule(tmp_path, pack, APPROVAL, key, account)
    assert refusals(tmp_path) == ["decided_before"]


def test_the_owner_of_a_claim_does_not_review_it(tmp_path: Path) -> None:
    def hand_over(story):  # type: ignore[no-untyped-def]
        story.documents["claims/claims.json"][1]["owner"] = "dora"

    pack = take_pack(tmp_path, zip_up(retell(hand_over)), by="anna").root_digest
    with pytest.raises(DecisionRefused):
        rule(tmp_path, pack, REVIEW, DORA)


def test_what_was_approved_may_be_rejected_later_by_the_same_person_in_the_same_role(tmp_path: Path, pack: str) -> None:
    rule(tmp_path, pack, REVIEW, BEN)
    with pytest.raises(DecisionRefused):
        rule(tmp_path, pack, replace(REJECTION, role="approver"), BEN)
    rule(tmp_path, pack, REJECTION, BEN)
    with pytest.raises(DecisionRefused):
        rule(tmp_path, pack, REJECTION, BEN)
    assert state(tmp_path) == "rejected"


def test_what_was_rejected_is_never_approved(tmp_path: Path, pack: str) -> None:
    rule(tmp_path, pack, REVIEW, BEN)
    rule(tmp_path, pack, REJECTION, DORA)
    with pytest.raises(DecisionRefused):
        rule(tmp_path, pack, APPROVAL, CLEO)
    assert refusals(tmp_path) == ["rejected"]


def test_of_two_who_approve_at_once_one_does(tmp_path: Path, pack: str) -> None:
    rule(tmp_path, pack, REVIEW, BEN)
    start, ends = threading.Barrier(2), []

    def race(key: ToyKey) -> None:
        start.wait()
        try:
            rule(tmp_path, pack, APPROVAL, key)
            ends.append("approved")
        except DecisionRefused as error:
            ends.append(error.code)

    threads = [threading.Thread(target=race, args=(key,)) for key in (CLEO, DORA)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["approved", "approved_before"]
    assert sum(one.role == "approver" for one in list_cases(tmp_path)[0].decisions) == 1


def test_a_decision_is_about_the_pack_that_was_looked_at_and_not_about_its_successor(tmp_path: Path, pack: str) -> None:
    def swap(story):  # type: ignore[no-untyped-def]
        story.documents["pack.json"]["limitations"] = ["Another pack under the same id."]

    other = take_pack(tmp_path, zip_up(retell(swap)), by="anna").root_digest
    rule(tmp_path, pack, REVIEW, BEN)
    states = {case.pack.root_digest: case.state for case in list_cases(tmp_path)}
    assert states == {pack: "waiting for approval", other: "waiting for review"}
    with pytest.raises(DecisionRefused):
        rule(tmp_path, other, APPROVAL, CLEO)


def test_a_file_that_was_swapped_on_disk_is_not_signed(tmp_path: Path, pack: str) -> None:
    def swap(story):  # type: ignore[no-untyped-def]
        story.documents["pack.json"]["limitations"] = ["Other words."]

    (kept,) = (tmp_path / "desk").glob("*.zip")
    kept.write_bytes(zip_up(retell(swap)))
    with pytest.raises(IntegrityError):
        rule(tmp_path, pack, REVIEW, BEN)
    assert state(tmp_path) == "waiting for review"


def test_a_changed_pack_is_not_taken(tmp_path: Path) -> None:
    members = genuine_members()
    with pytest.raises(IntegrityError):
        take_pack(tmp_path, zip_up({**members, "README.txt": b"other"}), by="anna")
    with pytest.raises(IntegrityError):
        take_pack(tmp_path, b"no pack at all", by="anna")
    forged = {**members, PACK_ENVELOPE: members[PACK_ENVELOPE].replace(b'"sig":"', b'"sig":"AAAA', 1)}
    with pytest.raises(IntegrityError):
        take_pack(tmp_path, zip_up(forged), by="anna", trust=read_trust(write_trust()))
    assert list_cases(tmp_path) == ()


def test_the_desk_says_whether_the_signer_was_checked(tmp_path: Path) -> None:
    assert take_pack(tmp_path, zip_up(genuine_members()), by="anna").check_found == "SIGNER_NOT_CHECKED"
    other = zip_up(retell(lambda story: story.documents["pack.json"].update(organisation="Other")))
    assert take_pack(tmp_path, other, by="anna", trust=read_trust(write_trust())).check_found == "SIGNER_VERIFIED"


def test_a_pack_with_approvals_of_elsewhere_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        take_pack(tmp_path, zip_up(approve(genuine_members(), BEN, "reviewer")), by="anna")


def test_a_pack_taken_twice_lies_there_once(tmp_path: Path, pack: str) -> None:
    again = take_pack(tmp_path, zip_up(genuine_members()), by="mallory")
    assert (again.root_digest, again.taken_by, len(list_cases(tmp_path))) == (pack, "anna", 1)


def test_a_review_is_blind_until_ones_own_is_given(tmp_path: Path, pack: str) -> None:
    rule(tmp_path, pack, REVIEW, BEN)

    def seen_by(name: str) -> int:
        return len(list_cases(tmp_path)[0].show_to(frozenset((name,))))

    assert (seen_by("dora"), seen_by("ben"), seen_by("anna")) == (0, 1, 1)
    rule(tmp_path, pack, REJECTION, DORA)
    assert (seen_by("dora"), seen_by("cleo")) == (2, 0)


def reviewed(pairs: list[tuple[str, str]]) -> list[Case]:
    """Cases with two reviews each."""
    blank = DeskPack("0" * 64, "01", "", "anna", "0" * 64, ("anna",), (), "")

    def decide_as(person: str, decision: str) -> DeskDecision:
        return DeskDecision(1, "0" * 64, "reviewer", person, person, decision, "", "{}", "")

    return [Case(blank, (decide_as("ben", first), decide_as("dora", second))) for first, second in pairs]


YES, NO = "approve", "reject"


def test_agreement_is_counted_beyond_chance() -> None:
    """Four packs of which three agree: P = 3/4. Approve was given 5 of 8 times: P_e = 25/64 + 9/64 = 34/64. kappa = (48-34)/(64-34)."""
    four = [(YES, YES), (YES, YES), (NO, NO), (YES, NO)]
    assert compute_kappa(four) == pytest.approx(14 / 30)
    found = measure_agreement(reviewed(four * 5))
    assert found.kappa is not None
    assert found.kappa.value == pytest.approx(14 / 30)
    assert found.kappa.low is not None
    assert found.kappa.high is not None
    assert -0.2 < found.kappa.low < 14 / 30 < found.kappa.high < 1
    assert found.agreed is not None
    assert (found.agreed.value, found.agreed.n) == (0.75, 20)


def test_habit_alone_is_no_agreement() -> None:
    """Both approve three of four, independently: the same 10 of 16 times, by chance 10 of 16 times."""
    habits = [YES, YES, YES, NO]
    assert compute_kappa([(first, second) for first in habits for second in habits]) == pytest.approx(0)


def test_without_variety_or_with_few_packs_there_is_no_kappa_and_it_says_why(tmp_path: Path, pack: str) -> None:
    assert measure_agreement(list_cases(tmp_path)).reason == "no pack has two reviews"
    few = measure_agreement(reviewed([(YES, NO)] * 19))
    assert few.kappa is None
    assert few.agreed is not None
    assert few.agreed.value == 0
    same = measure_agreement(reviewed([(YES, YES)] * 20))
    assert same.kappa is None
    assert "chance" in (same.reason or "")
