"""The wiring: every run is logged with what became of it, equal work is found again, and sessions do not mix."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy.additive import AdditiveSubject, pair_up
from toy.prompts import tokenise_letters

from audit_core.attention.plausibility import Source
from audit_core.audits.ablation import AblationRequest
from audit_core.audits.attention import AttentionRequest
from audit_core.audits.claim_test import ClaimTestRequest
from audit_core.audits.sweep import SweepRequest
from audit_core.claim import Claim, Role
from audit_core.component import Kind, head, mlp
from audit_core.engine.pace import MIN_WORK, measure_growth
from audit_core.errors import Cancelled, NotMeasured, PromptRefused, Refused, StoreRefused
from audit_core.intervention import CLEAN_RUN, Direction, Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.run import Actor, Auditor, RunOutcome, open_subject, record_refusal
from audit_core.store import RunLog
from audit_core.subject import Geometry
from audit_core.subjects.transformer import TransformerSubject

ACTOR = Actor("me", "session 1")
WORTH = {head(0, 0): 3.0, head(1, 2): -1.0, mlp(0): 0.5}


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path)


@pytest.fixture
def auditor(log: RunLog) -> Auditor:
    return Auditor(AdditiveSubject(WORTH), log)


def ask_zero(prompts: TokenisedPrompts, **changes: Any) -> AblationRequest:
    return replace(AblationRequest(prompts, prompts, (head(0, 0),), Replacement.ZERO), **changes)


def test_a_finished_run_is_logged_with_its_result_and_all_that_it_came_from(auditor: Auditor, log: RunLog) -> None:
    prompts = pair_up(auditor.subject)
    finished = auditor.run("ablation", ask_zero(prompts, seed=5), actor=ACTOR)
    (row,) = log.export()
    assert (row["run_id"], row["outcome"], row["kind"]) == (finished.run_id, "done", "ablation")
    assert (row["actor"], row["session"], row["reason"]) == ("me", "session 1", "")
    assert row["prompts_sha256"] == prompts.sha256
    assert row["model_digest"] == auditor.subject.identity.short
    assert row["request"]["components"] == ["L0.H0"]
    wanted = {"weights_sha256", "tokenizer_sha256", "dtype", "attention", "quantisation", "prompts_sha256", "versions"}
    assert wanted <= set(row["identity"])
    assert row["identity"]["seed"] == 5
    assert row["result"]["after"]["value"] == pytest.approx(-0.5)


def refuse(auditor: Auditor, prompts: TokenisedPrompts) -> Any:
    return auditor.run("ablation", ask_zero(prompts, components=()), actor=ACTOR)


def refuse_metric(auditor: Auditor, prompts: TokenisedPrompts) -> Any:
    return auditor.run("ablation", ask_zero(prompts, metric="no such metric"), actor=ACTOR)


def find_no_source(auditor: Auditor, prompts: TokenisedPrompts) -> Any:
    return auditor.run("attention", AttentionRequest(prompts, Source.ANSWER), actor=ACTOR)


def cancel(auditor: Auditor, prompts: TokenisedPrompts) -> Any:
    def stop(done: int, total: int) -> None:
        raise Cancelled("enough")

    return auditor.run("ablation", ask_zero(prompts), actor=ACTOR, on_progress=stop)


def interrupt(auditor: Auditor, prompts: TokenisedPrompts) -> Any:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    return auditor.run("ablation", ask_zero(prompts), actor=ACTOR, on_progress=stop)


def break_down(auditor: Auditor, prompts: TokenisedPrompts) -> Any:
    def stop(done: int, total: int) -> None:
        raise ZeroDivisionError("a defect")

    return auditor.run("ablation", ask_zero(prompts), actor=ACTOR, on_progress=stop)


@pytest.mark.parametrize(
    "ask, error, outcome, reason",
    [
        (refuse, Refused, "refused", "Refused"),
        (refuse_metric, Refused, "refused", "Refused"),
        (find_no_source, NotMeasured, "not_measured", "no_source"),
        (cancel, Cancelled, "cancelled", "cancelled"),
        (interrupt, KeyboardInterrupt, "cancelled", "cancelled"),
        (break_down, ZeroDivisionError, "failed", "ZeroDivisionError"),
    ],
)
def test_a_run_that_gave_nothing_is_logged_with_why_and_without_result(
    ask: Callable[[Auditor, TokenisedPrompts], Any],
    error: type[BaseException],
    outcome: str,
    reason: str,
    auditor: Auditor,
    log: RunLog,
) -> None:
    with pytest.raises(error):
        ask(auditor, pair_up(auditor.subject))
    (row,) = log.export()
    assert (row["outcome"], row["reason"], row["result"]) == (outcome, reason, None)
    assert row["detail"]
    assert log.find_result(row["content_key"]) is None


def test_what_was_refused_before_a_run_began_is_logged_too(log: RunLog) -> None:
    error = PromptRefused("No file x.", wanted="prompts.", remedy="check the path.")
    record_refusal(log, "sweep", error, actor=ACTOR, request={"prompts": "x"})
    (row,) = log.export()
    assert (row["outcome"], row["reason"], row["request"]) == ("refused", "PromptRefused", {"prompts": "x"})


def test_a_result_that_cannot_be_logged_is_not_given(auditor: Auditor, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreRefused("The disk is full.", wanted="room.", remedy="make some.")

    monkeypatch.setattr(auditor.log, "append", full)
    with pytest.raises(StoreRefused):
        auditor.run("ablation", ask_zero(pair_up(auditor.subject)), actor=ACTOR)


def test_equal_work_is_found_again_without_a_run(auditor: Auditor, log: RunLog) -> None:
    prompts = pair_up(auditor.subject)
    assert auditor.find_earlier("ablation", ask_zero(prompts)) is None
    first = auditor.run("ablation", ask_zero(prompts), actor=ACTOR)
    again = auditor.find_earlier("ablation", ask_zero(prompts))
    assert again is not None
    assert again.is_reused
    assert not first.is_reused
    assert again.result == first.result
    assert len(list(log.export())) == 1


def test_anything_a_result_depends_on_makes_it_another(auditor: Auditor) -> None:
    subject = auditor.subject
    prompts, others = pair_up(subject), pair_up(subject, 21)
    part, rest = (replace(prompts, pairs=prompts.pairs[at]) for at in (slice(10), slice(10, None)))
    asked = [
        ask_zero(prompts),
        ask_zero(prompts, seed=1),
        ask_zero(prompts, components=(head(0, 1),)),
        ask_zero(prompts, components=(head(0, 0, 1),)),
        ask_zero(prompts, replacement=Replacement.RESAMPLE),
        ask_zero(prompts, replacement=Replacement.RESAMPLE, direction=Direction.DENOISING),
        ask_zero(prompts, replacement=Replacement.SCALE, factor=0.5),
        ask_zero(prompts, replacement=Replacement.SCALE, factor=0.25),
        ask_zero(prompts, metric="answer_probability"),
        ask_zero(others),
        ask_zero(part),
        ask_zero(rest),
        ask_zero(prompts, replacement=Replacement.MEAN),
        ask_zero(prompts, replacement=Replacement.MEAN, reference=others),
        ask_zero(prompts, replacement=Replacement.MEAN, reference=part),
        ask_zero(prompts, replacement=Replacement.MEAN, reference=rest),
    ]
    keys = [auditor.content_key("ablation", one) for one in asked]
    assert len(set(keys)) == len(keys)
    assert auditor.content_key("ablation", ask_zero(prompts, reference=others)) == keys[0], "zero needs no reference"
    other_model = Auditor(AdditiveSubject(WORTH), auditor.log)
    other_model.subject.identity = replace(subject.identity, weights_sha256="1" * 64)
    assert other_model.content_key("ablation", asked[0]) != keys[0]


def test_means_over_part_of_a_set_are_not_those_over_the_whole(auditor: Auditor) -> None:
    """Worth 3 at level 0, 1, 2 …: the first half of the prompts has another mean than the second."""
    subject = AdditiveSubject({head(0, 0): 3.0}, level=lambda text: float(text.split()[1]))
    auditor = Auditor(subject, auditor.log)
    prompts = pair_up(subject, texts=[(f"good {n} x", f"bad {n} x") for n in range(8)])
    found = [
        auditor.run(
            "ablation",
            ask_zero(prompts, replacement=Replacement.MEAN, reference=replace(prompts, pairs=prompts.pairs[at])),
            actor=ACTOR,
        ).result.after.value
        for at in (slice(None), slice(4), slice(4, None))
    ]
    assert found == pytest.approx([3 * 3.5, 3 * 1.5, 3 * 5.5])


def test_time_is_predicted_from_the_pace_of_runs_large_enough_to_have_one(auditor: Auditor) -> None:
    """Two seconds for the least work that counts; then the same in four, which is what counts from then on; another audit has its own pace."""
    asked = ask_zero(pair_up(auditor.subject))
    auditor.run("ablation", asked, actor=ACTOR)
    assert auditor.predict_s("ablation", asked) is None, "sixty units are mostly overhead"
    work = auditor.count_work("ablation", asked)
    growth = measure_growth(auditor.subject.geometry, [len(pair.clean_ids) for pair in asked.prompts.pairs])
    assert growth > 1
    assert work == round(auditor.subject.count_work(asked.prompts, [CLEAN_RUN] * 3) * growth)
    auditor._pace.keep("ablation", 2.0, MIN_WORK)
    assert auditor.predict_s("ablation", asked) == pytest.approx(2 * work / MIN_WORK)
    auditor._pace.keep("ablation", 4.0, MIN_WORK)
    assert auditor.predict_s("ablation", asked) == pytest.approx(4 * work / MIN_WORK)
    auditor._pace.keep("ablation", 100.0, MIN_WORK - 1)
    auditor._pace.keep("sweep", 100.0, MIN_WORK)
    assert auditor.predict_s("ablation", asked) == pytest.approx(4 * work / MIN_WORK)


@pytest.mark.parametrize(
    ("model", "geometry"),
    [("default", Geometry(30, 9, 3, 576, 64, 49_152, 1_536)), ("256", Geometry(8, 4, 4, 256, 64, 49_152, 682))],
)
def test_predictions_grow_with_length_as_recorded_sweeps_did(model: str, geometry: Geometry) -> None:
    recorded = json.loads((Path(__file__).parents[2] / "bench/lengths.json").read_text(encoding="utf-8"))
    least = recorded[f"{model} 128"]["microseconds"]
    for length in (256, 512, 1024, 2048):
        grown = measure_growth(geometry, [length]) / measure_growth(geometry, [128])
        assert grown == pytest.approx(recorded[f"{model} {length}"]["microseconds"] / least, rel=0.3)
    assert measure_growth(geometry, [128, 2048]) == pytest.approx(
        (128 * measure_growth(geometry, [128]) + 2048 * measure_growth(geometry, [2048])) / (128 + 2048)
    )
    assert measure_growth(replace(geometry, d_model=0, n_neurons=0), [128]) == 1.0


def test_an_unknown_audit_metric_or_model_is_refused(auditor: Auditor) -> None:
    with pytest.raises(Refused, match="ablation, attention"):
        auditor.run("explain", ask_zero(pair_up(auditor.subject)), actor=ACTOR)
    with pytest.raises(Refused, match="not a known model"):
        open_subject("no such model")


def list_requests(prompts: TokenisedPrompts) -> list[tuple[str, Any]]:
    claim = Claim("a claim", (head(1, 1), head(2, 0)), role=Role.SUFFICIENT, delta=0.8)
    return [
        ("ablation", AblationRequest(prompts, prompts, (head(0, 1),), Replacement.MEAN)),
        ("sweep", SweepRequest(prompts, prompts, Kind.HEAD, Replacement.ZERO)),
        ("attention", AttentionRequest(prompts, Source.CHANGED)),
        (
            "ablation",
            AblationRequest(prompts, prompts, (mlp(1), head(2, 3)), Replacement.RESAMPLE, Direction.DENOISING),
        ),
        ("claim_test", ClaimTestRequest(prompts, claim)),
    ]


def test_two_interleaved_sessions_get_what_two_separate_ones_get(
    load_family: Callable[[str], TransformerSubject], tmp_path: Path
) -> None:
    """One auditor, two threads, different requests in turn: neither sees the other's hooks, means or last run."""
    subject = load_family("gpt2")
    sets = {name: tokenise_letters(subject.tokenizer, [7] * 6, seed=seed) for name, seed in (("a", 1), ("b", 2))}

    def run_all(auditor: Auditor, name: str, wait: Callable[[], object]) -> list[Any]:
        answers = []
        for audit, request in list_requests(sets[name]):
            wait()
            finished: RunOutcome[Any] = auditor.run(audit, request, actor=Actor(name, name))
            answers.append(finished.result)
        return answers

    separate = {
        name: run_all(Auditor(subject, RunLog(tmp_path / name)), name, lambda: None)
        for name in sets
        if (tmp_path / name).mkdir() is None
    }
    shared, barrier = Auditor(subject, RunLog(tmp_path)), threading.Barrier(2)
    together: dict[str, list[Any]] = {}
    workers = [
        threading.Thread(target=lambda n=name: together.__setitem__(n, run_all(shared, n, lambda: barrier.wait(60))))
        for name in sets
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert together == separate
    assert separate["a"] != separate["b"]
    for name in sets:
        assert {row.session for row in shared.log.list_runs(session=name)} == {name}
        assert len(shared.log.list_runs(session=name)) == 5


def test_drawing_patterns_takes_means_from_the_reference_given(
    load_family: Callable[[str], TransformerSubject], log: RunLog
) -> None:
    subject = load_family("gpt2")
    auditor = Auditor(subject, log)
    prompts = tokenise_letters(subject.tokenizer, [7] * 6)
    asked = intervene([head(0, 1), mlp(0)], Replacement.MEAN)
    drawn = auditor.draw_patterns(prompts.pairs[0], asked, prompts)
    expected = subject.patterns(prompts.pairs[0], asked, means=subject.capture_means(prompts))
    np.testing.assert_array_equal(drawn, expected)
    assert np.abs(drawn - auditor.draw_patterns(prompts.pairs[0], CLEAN_RUN, prompts)).max() > 1e-3
    assert list(log.export()) == []


def test_a_logged_request_never_holds_the_text_of_a_prompt(auditor: Auditor, log: RunLog) -> None:
    """Prompts may be personal: the log keeps ids and hashes."""
    texts = [(f"good secret{n} x", f"bad secret{n} x") for n in range(20)]
    prompts = pair_up(auditor.subject, texts=texts)
    auditor.run("ablation", ask_zero(prompts), actor=ACTOR)
    auditor.run("ablation", ask_zero(replace(prompts, pairs=prompts.pairs[:1])), actor=ACTOR)
    rows = list(log.export())
    assert "secret" not in json.dumps([{**row, "result": None} for row in rows])
