"""The cost of audits, worked by hand: what counts, what is left out, and what is not known is never zero."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from toy.additive import AdditiveSubject, pair_up

from audit_core.audits.ablation import AblationRequest
from audit_core.component import head
from audit_core.errors import PromptRefused
from audit_core.home.cost import AnswerTally, KindCost, Seconds, count_costs, read_costs
from audit_core.intervention import Replacement
from audit_core.run import Actor, Auditor, record_refusal
from audit_core.store import RunLog, RunRecord, RunStart, open_database
from audit_core.store.log.costs import RunCost, list_run_costs

ACTOR = Actor("ada", "session 1")


def row(number: int, kind: str = "claim_test", outcome: str = "done", **changes: object) -> RunCost:
    whole = RunCost(f"r{number}", kind, outcome, f"key {number}", True, 10.0, 15.0, None, None)
    return replace(whole, **changes)


def count(*rows: RunCost) -> KindCost:
    return count_costs(rows).kinds[0]


def test_seconds_of_runs_that_settled_nothing_are_part_of_the_price() -> None:
    found = count(
        row(1, state="supported"),
        row(2, state="negligible", wall_s=20.0),
        row(3, state="inconclusive", reason="straddles_delta", wall_s=30.0),
        row(4, outcome="failed", wall_s=5.0, cpu_s=1.0),
        row(5, outcome="cancelled", wall_s=1.0),
    )
    assert found.wall == Seconds(66.0, 5, 5)  # 10 + 20 + 30 + 5 + 1
    assert found.cpu == Seconds(61.0, 5, 5)  # 4 × 15 + 1
    assert found.outcomes == {"done": 3, "failed": 1, "cancelled": 1}
    assert found.answers == (
        AnswerTally("supported", None, 1),
        AnswerTally("negligible", None, 1),
        AnswerTally("inconclusive", "straddles_delta", 1),
    )
    assert (found.settled, found.wall_per_settled, found.cpu_per_settled) == (2, 33.0, 30.5)
    assert found.not_counted == ""


def test_a_question_asked_twice_is_settled_once_and_paid_twice() -> None:
    found = count(row(1, state="reversed", content_key="same"), row(2, state="reversed", content_key="same"))
    assert (found.settled, found.wall_per_settled) == (1, 20.0)
    assert found.answers == (AnswerTally("reversed", None, 1),)


def test_what_was_not_recorded_is_left_out_and_said_and_never_zero() -> None:
    found = count(row(1, state="supported", cpu_s=None), row(2, "claim_test", "abandoned", wall_s=None, cpu_s=None))
    assert found.wall == Seconds(10.0, 1, 2)
    assert not found.wall.is_whole
    assert found.cpu == Seconds(None, 0, 2)
    assert found.cpu_per_settled is None
    assert (
        found.not_counted == "wall seconds of 1 of 2 runs are not recorded; CPU seconds of 2 of 2 runs are not recorded"
    )


def test_what_never_began_is_asked_for_and_neither_started_nor_timed() -> None:
    found = count(row(1, state="supported"), row(2, outcome="refused", has_begun=False, wall_s=None, cpu_s=None))
    assert (found.started, found.never_begun) == (1, 1)
    assert found.wall == Seconds(10.0, 1, 1)


def test_a_run_under_way_is_no_missing_time() -> None:
    found = count(row(1, state="supported"), row(2, outcome="under way", wall_s=None, cpu_s=None))
    assert (found.started, found.wall.is_whole, found.not_counted) == (2, True, "")


def test_a_kind_that_comes_to_no_verdict_has_no_price_per_claim() -> None:
    found = count(row(1, "sweep"))
    assert (found.answers, found.settled, found.wall_per_settled) == (None, None, None)
    assert found.not_counted == "this kind measures and has no verdict"


def test_inconclusive_settles_nothing() -> None:
    found = count(row(1, state="inconclusive", reason="low_power"))
    assert (found.settled, found.wall_per_settled, found.not_counted) == (0, None, "nothing is settled yet")


def test_kinds_are_ordered_by_cost_and_add_up() -> None:
    report = count_costs(
        [row(1, "sweep", wall_s=1.0), row(2, state="supported"), row(3, "edges", wall_s=4.0, cpu_s=None)]
    )
    assert [cost.kind for cost in report.kinds] == ["claim_test", "edges", "sweep"]
    assert (report.wall, report.cpu) == (Seconds(15.0, 3, 3), Seconds(30.0, 2, 3))


# Read from a log


def start(run_id: str, kind: str) -> RunStart:
    return RunStart(run_id, "2026-01-01T00:00:00.000+00:00", "ada", "s1", kind, f"key {run_id}", "m", "p", "{}", "{}")


def end(run_id: str, kind: str, result: object, outcome: str = "done") -> RunRecord:
    text = None if result is None else json.dumps(result)
    return RunRecord(**vars(start(run_id, kind)), outcome=outcome, reason="", detail="", result=text, wall_s=2.0)


def test_a_log_gives_its_verdicts_seconds_refusals_and_abandoned_runs(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.append(end("a", "claim_test", {"state": "negligible", "reason": None}), cpu_s=3.5)
    log.append(end("b", "confirmation", {"verdict": {"state": "inconclusive", "reason": "low_power"}}), cpu_s=4.0)
    log.append(end("old", "sweep", {"state": "supported"}))
    log.start(start("lost", "sweep"))
    record_refusal(log, "sweep", PromptRefused("No file.", wanted="x", remedy="x"), actor=ACTOR, request={})
    with open_database(tmp_path) as connection:  # as if its process had ended
        connection.execute("DROP TRIGGER start_fixed ON run_start")
        connection.execute("UPDATE run_start SET process = ''")
    by_id = {run.run_id: run for run in list_run_costs(tmp_path)}
    assert (by_id["a"].state, by_id["a"].reason, by_id["a"].cpu_s) == ("negligible", None, 3.5)
    assert (by_id["b"].state, by_id["b"].reason) == ("inconclusive", "low_power")
    assert (by_id["old"].state, by_id["old"].cpu_s) == (None, None), "a sweep has no verdict, and an old event no CPU"
    assert (by_id["lost"].outcome, by_id["lost"].wall_s) == ("abandoned", None)
    (refused,) = [run for run in by_id.values() if not run.has_begun]
    assert (refused.outcome, refused.wall_s) == ("refused", None)
    kinds = {cost.kind: cost for cost in read_costs(tmp_path).kinds}
    assert kinds["sweep"].wall == Seconds(2.0, 1, 2)
    assert (kinds["claim_test"].settled, kinds["claim_test"].wall_per_settled) == (1, 2.0)


def test_a_run_under_way_is_not_called_abandoned(tmp_path: Path) -> None:
    RunLog(tmp_path).start(start("mine", "sweep"))
    assert [run.outcome for run in list_run_costs(tmp_path)] == ["under way"]


def test_a_run_records_the_cpu_seconds_of_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter((100.0, 107.25))
    monkeypatch.setattr(time, "process_time", lambda: next(ticks))
    auditor = Auditor(AdditiveSubject({head(0, 0): 3.0}), RunLog(tmp_path))
    prompts = pair_up(auditor.subject)
    auditor.run("ablation", AblationRequest(prompts, prompts, (head(0, 0),), Replacement.ZERO), actor=ACTOR)
    assert [run.cpu_s for run in list_run_costs(tmp_path)] == [7.25]


@pytest.mark.parametrize("reported", ["7", True, -1.0, None, [1]])
def test_a_forged_number_of_seconds_is_no_number(reported: object) -> None:
    from audit_core.store.log.costs import _read_seconds

    assert _read_seconds(reported) is None


def test_an_empty_log_has_cost_nothing(tmp_path: Path) -> None:
    report = read_costs(tmp_path)
    assert (report.kinds, report.wall) == ((), Seconds(None, 0, 0))
