"""The records behind the key figures, as a home's own log tells them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from toy.packs import BEN, genuine_members, zip_up
from toy.register import freeze_by_hand, tell, tell_attempt

from audit_core.governance.kpi import list_process_figures
from audit_core.governance.records import AttemptRecord, RerunRecord
from audit_core.home.home_records import read_home
from audit_core.review.desk import decide, take_pack
from audit_core.review.desk_rules import Decider, ReviewDecision
from audit_core.store.database.events import Action


def value(home: Path, name: str) -> tuple[float | None, str | None]:
    figures = list_process_figures(read_home(home).list_records(), now=datetime.now(UTC))
    found = next(one for one in figures if one.name == name)
    return found.value, found.reason


def test_an_empty_home_has_no_figures_and_says_why(tmp_path: Path) -> None:
    assert value(tmp_path, "evidence_coverage") == (None, "no claim in the register is in use")
    assert value(tmp_path, "log_verification_age") == (None, "the log was never checked")


def test_claims_and_attempts_are_counted_from_the_log(tmp_path: Path) -> None:
    first, _ = freeze_by_hand(tmp_path), freeze_by_hand(tmp_path)
    tell_attempt(tmp_path, first, "0" * 32, "supported")
    tell(tmp_path, Action.RUN_STARTED, "9" * 32, claim_id=None, prereg_digest=None, attempt_no=None, kind="sweep")
    records = read_home(tmp_path).list_records()
    assert [(one.claim_id, one.status) for one in records.claims or ()] == [
        ("C-0001", "tested"),
        ("C-0002", "preregistered"),
    ]
    assert [(one.run_id, one.claim_id) for one in records.attempts or ()] == [("0" * 32, first)]
    assert isinstance((records.attempts or ())[0], AttemptRecord)
    assert value(tmp_path, "prereg_rate") == (1.0, None)


def test_an_exported_pack_is_unchecked_until_it_lies_on_the_desk(tmp_path: Path) -> None:
    claim_id = freeze_by_hand(tmp_path)
    tell_attempt(tmp_path, claim_id, "0" * 32, "supported")
    tell(tmp_path, Action.PACK_EXPORTED, "01EXPORTED", claims={claim_id: {"attempts": 1}})
    (pack,) = read_home(tmp_path).list_records().packs or ()
    assert (pack.pack_id, pack.claim_ids, pack.is_verified, pack.expires_at) == (
        "01EXPORTED",
        (claim_id,),
        None,
        "2999-01-01",
    )
    assert value(tmp_path, "evidence_coverage") == (None, "packs that no verifier has checked")


def test_a_later_pack_about_the_same_claims_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    claim_id = freeze_by_hand(tmp_path)
    for pack_id in ("01A", "01B"):
        tell(tmp_path, Action.PACK_EXPORTED, pack_id, claims={claim_id: {"attempts": 1}})
    tell(tmp_path, Action.PACK_EXPORTED, "01C", claims={claim_id: {"attempts": 1}})
    tell(tmp_path, Action.PACK_REFUSED, "01C", reason="Refused")
    packs = read_home(tmp_path).list_records().packs or ()
    assert {pack.pack_id: pack.is_superseded for pack in packs} == {"01A": True, "01B": False}


def test_reruns_keep_what_was_not_evaluated_apart_from_what_differed(tmp_path: Path) -> None:
    levels = {"claim_id": "C-0001", "pack_id": "01A", "L0": "COMPARABLE", "L1": "BITWISE_EQUAL"}
    tell(tmp_path, Action.RERUN_COMPARED, "0" * 32, **levels, L2="WITHIN_TOLERANCE", L3="DECISION_EQUAL")
    tell(tmp_path, Action.RERUN_COMPARED, "1" * 32, **levels, L2="OUTSIDE_TOLERANCE", L3="DECISION_FLIPPED")
    tell(
        tmp_path,
        Action.RERUN_COMPARED,
        "2" * 32,
        **levels | {"L0": "NOT_COMPARABLE"},
        L2="NOT_EVALUATED",
        L3="NOT_EVALUATED",
    )
    assert read_home(tmp_path).list_records().reruns == (
        RerunRecord("01A", True, True, True),
        RerunRecord("01A", True, False, False),
        RerunRecord("01A", False, None, None),
    )
    assert value(tmp_path, "reproduction_rate") == (0.5, None)


def test_decisions_at_the_desk_are_approvals(tmp_path: Path) -> None:
    pack = take_pack(tmp_path, zip_up(genuine_members()), by="anna")
    tell(tmp_path, Action.PACK_EXPORTED, pack.pack_id, claims={})
    assert value(tmp_path, "four_eyes_coverage") == (None, "no pack is signed by a reviewer or approver")
    decide(tmp_path, pack.root_digest, ReviewDecision("reviewer", "approve", "another team"), Decider(BEN))  # type: ignore[arg-type]
    assert value(tmp_path, "four_eyes_coverage") == (1.0, None)


def test_a_trend_counts_what_had_happened_by_then(tmp_path: Path) -> None:
    claim_id = freeze_by_hand(tmp_path)
    tell_attempt(tmp_path, claim_id, "0" * 32, "supported")
    facts, now = read_home(tmp_path), datetime.now(UTC)
    then, before = facts.list_records(now + timedelta(seconds=1)), facts.list_records(now - timedelta(days=1))
    assert (len(then.claims or ()), len(then.attempts or ())) == (1, 1)
    assert (before.claims, before.attempts, before.preregistrations) == ((), (), 0)
    assert then.log is None, "where the log stood then was not kept"
