"""Where a claim stands: its last verdict, unless something has happened since."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from toy.register import freeze_by_hand, tell_attempt

from audit_core.errors import ClaimRefused
from audit_core.home.claim_status import CardState, ClaimStatus, judge_sentence, read_claim_statuses
from audit_core.judging.verdict import REASONS
from audit_core.preregistration import ChangeKind
from audit_core.store.claims.card_claims import add_card_claim, link_card_claim, list_card_claims
from audit_core.store.claims.earlier_runs import Sought
from audit_core.store.claims.register import Register


def stand(home: Path, **triggers: tuple[str, ...]) -> ClaimStatus:
    named = {name.replace("_", "-"): reasons for name, reasons in triggers.items()}
    return read_claim_statuses(home, named)[0].standing


@pytest.mark.parametrize("state", ["supported", "negligible", "reversed", "inconclusive"])
def test_a_claim_has_the_status_of_its_last_verdict(tmp_path: Path, state: str) -> None:
    claim_id = freeze_by_hand(tmp_path)
    assert stand(tmp_path) is ClaimStatus.UNTESTED
    tell_attempt(tmp_path, claim_id, "0" * 32, "supported")
    tell_attempt(tmp_path, claim_id, "1" * 32, state, reason="low_power")
    found = read_claim_statuses(tmp_path, {})[0]
    assert (found.standing, found.found, found.why, found.attempts) == (
        ClaimStatus(state),
        state,
        REASONS["low_power"],
        2,
    )


def test_an_attempt_without_a_verdict_tests_nothing(tmp_path: Path) -> None:
    tell_attempt(tmp_path, freeze_by_hand(tmp_path), "0" * 32)
    assert stand(tmp_path) is ClaimStatus.UNTESTED


def test_a_trigger_makes_a_tested_claim_stale_and_says_why(tmp_path: Path) -> None:
    tell_attempt(tmp_path, freeze_by_hand(tmp_path), "0" * 32, "supported")
    found = read_claim_statuses(tmp_path, {"C-0001": ("the weights changed",)})[0]
    assert (found.standing, found.why, found.found) == (ClaimStatus.STALE, "the weights changed", "supported")


def test_an_untested_claim_is_not_called_stale(tmp_path: Path) -> None:
    freeze_by_hand(tmp_path, expires_at="2020-01-01")
    assert stand(tmp_path, C_0001=("the weights changed",)) is ClaimStatus.UNTESTED


def test_a_claim_past_its_date_is_stale(tmp_path: Path) -> None:
    tell_attempt(tmp_path, freeze_by_hand(tmp_path, expires_at="2020-01-01"), "0" * 32, "supported")
    assert stand(tmp_path) is ClaimStatus.STALE


def test_an_exploratory_verdict_is_no_support(tmp_path: Path) -> None:
    tell_attempt(tmp_path, freeze_by_hand(tmp_path), "0" * 32, "supported", exploratory="results were there before")
    assert stand(tmp_path) is ClaimStatus.EXPLORATORY


def test_a_verdict_under_an_earlier_plan_does_not_count(tmp_path: Path) -> None:
    claim_id = freeze_by_hand(tmp_path)
    tell_attempt(tmp_path, claim_id, "0" * 32, "supported")
    Register(tmp_path).amend(
        claim_id, lambda plan: replace(plan, claim=replace(plan.claim, delta=0.2)), by="anna", reason="a slip",
        kind=ChangeKind.ERROR, sought=Sought(("2" * 64,), ()),
    )  # fmt: skip
    assert stand(tmp_path) is ClaimStatus.UNTESTED


def test_a_withdrawn_claim_stays_withdrawn(tmp_path: Path) -> None:
    claim_id = freeze_by_hand(tmp_path)
    tell_attempt(tmp_path, claim_id, "0" * 32, "supported")
    Register(tmp_path).withdraw(claim_id, by="anna", reason="asked wrongly")
    assert stand(tmp_path) is ClaimStatus.WITHDRAWN


def sentence_after(home: Path, *states: str) -> CardState:
    number = add_card_claim(home, "default", "The model attends to the name.", card_sha256="f" * 64, by="anna")
    for run, state in enumerate(states):
        claim_id = freeze_by_hand(home)
        if state != "untested":
            tell_attempt(home, claim_id, f"{run:032d}", state)
        link_card_claim(home, number, claim_id, by="anna")
    return judge_sentence(list_card_claims(home)[-1], read_claim_statuses(home, {}))


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((), CardState.UNTESTED),
        (("untested",), CardState.UNTESTED),
        (("supported",), CardState.TESTED),
        (("supported", "untested"), CardState.TESTED),
        (("inconclusive", "supported"), CardState.OPEN),
        (("supported", "negligible"), CardState.CONTRADICTED),
        (("reversed",), CardState.CONTRADICTED),
    ],
)
def test_a_sentence_of_a_card_is_as_good_as_the_worst_claim_that_tests_it(
    tmp_path: Path, states: tuple[str, ...], expected: CardState
) -> None:
    assert sentence_after(tmp_path, *states) is expected


def test_a_sentence_is_linked_to_claims_that_are_there(tmp_path: Path) -> None:
    number = add_card_claim(tmp_path, "default", "It attends.", card_sha256="", by="anna")
    with pytest.raises(ClaimRefused):
        link_card_claim(tmp_path, number, "C-0001", by="anna")
    freeze_by_hand(tmp_path)
    with pytest.raises(ClaimRefused):
        link_card_claim(tmp_path, number + 1, "C-0001", by="anna")


@pytest.mark.parametrize("text", ["", "   ", "x" * 601])
def test_a_sentence_has_words_and_is_not_a_book(tmp_path: Path, text: str) -> None:
    with pytest.raises(ClaimRefused):
        add_card_claim(tmp_path, "default", text, card_sha256="", by="anna")
