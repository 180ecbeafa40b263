"""One line a model: what may ship is what its packs in use say, and what is missing is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from toy.packs import BEN, CLEO, genuine_members, write_trust, zip_up
from toy.register import freeze_by_hand, tell_attempt

from audit_core.home.claim_status import ClaimStatus, read_claim_statuses
from audit_core.home.home_records import read_home
from audit_core.home.portfolio import ModelLine, follow_figures, list_models
from audit_core.review.case_file import CaseFile, open_case
from audit_core.review.desk import decide, list_cases, take_pack
from audit_core.review.desk_rules import Decider, ReviewDecision
from audit_core.store.claims.register import Register


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two tested claims of one model, in no pack yet; the toy's keys are trusted."""
    for run in "01":
        tell_attempt(tmp_path, freeze_by_hand(tmp_path), run * 32, "supported")
    (tmp_path / "trust.toml").write_bytes(write_trust())
    return tmp_path


def open_all(home: Path) -> list[CaseFile]:
    return [open_case(home, case.pack.root_digest, now=datetime.now(UTC)) for case in list_cases(home)]


def read_line(home: Path, **triggers: tuple[str, ...]) -> ModelLine:
    named = {name.replace("_", "-"): why for name, why in triggers.items()}
    (line,) = list_models(read_claim_statuses(home, named), open_all(home))
    return line


def take_and_sign(home: Path) -> None:
    root = take_pack(home, zip_up(genuine_members()), by="anna").root_digest
    decide(home, root, ReviewDecision("reviewer", "approve", "another team"), Decider(BEN))  # type: ignore[arg-type]
    decide(home, root, ReviewDecision("approver", "approve", "another department"), Decider(CLEO))  # type: ignore[arg-type]


def test_a_model_whose_claims_are_in_no_pack_is_not_evaluated(home: Path) -> None:
    line = read_line(home)
    assert (line.claims, line.by_standing[ClaimStatus.SUPPORTED], line.gate, line.packs) == (2, 2, "NOT_EVALUATED", 0)
    assert line.why == "no pack on the desk: C-0002, C-0001"


def test_a_model_meets_its_policy_once_three_persons_have_signed(home: Path) -> None:
    take_pack(home, zip_up(genuine_members()), by="anna")
    assert read_line(home).gate == "NOT_EVALUATED"
    take_and_sign(home)
    line = read_line(home)
    assert (line.gate, line.why, line.desk) == ("MEETS", "", ("signed by all three",))


def test_a_stale_claim_takes_the_model_back(home: Path) -> None:
    take_and_sign(home)
    line = read_line(home, C_0001=("the weights changed",))
    assert (line.gate, line.why) == ("NOT_EVALUATED", "stale: C-0001")


def test_a_rejection_takes_the_model_back(home: Path) -> None:
    take_and_sign(home)
    decide(
        home, list_cases(home)[0].pack.root_digest, ReviewDecision("reviewer", "reject", "another team"), Decider(BEN)
    )  # type: ignore[arg-type]
    assert read_line(home).gate == "DOES_NOT_MEET"


def test_a_model_whose_claims_were_all_withdrawn_is_not_evaluated(home: Path) -> None:
    take_and_sign(home)
    for claim_id in ("C-0001", "C-0002"):
        Register(home).withdraw(claim_id, by="anna", reason="asked wrongly")
    line = read_line(home)
    assert (line.gate, line.why) == ("NOT_EVALUATED", "every claim was withdrawn")


def test_a_figure_is_followed_over_time_and_what_was_not_there_is_not_zero(home: Path) -> None:
    now = datetime.now(UTC)
    trends = {
        trend.figure.name: trend.values for trend in follow_figures(read_home(home), (now - timedelta(days=7), now))
    }
    assert trends["prereg_rate"] == (None, 1.0)
    assert trends["unanchored_events"][0] is None


def test_why_a_model_does_not_meet_its_policy_names_the_claim_and_the_first_row_behind_it(home: Path) -> None:
    take_pack(home, zip_up(genuine_members()), by="anna")
    why = read_line(home).why
    assert why.startswith("C-0001, C-0002 not evaluated: ")
    assert "pack " not in why.partition(":")[0]
