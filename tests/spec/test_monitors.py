"""Monitors: bounds worked out by hand, planted cases with a known onset, files that are not trusted, replay, drift and alarms."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save
from toy.monitors import RECIPE, make, strict
from toy.register import PINS, freeze_by_hand

from audit_core import open_subject
from audit_core.cli import main
from audit_core.errors import IntegrityError, NotMeasured, Refused
from audit_core.monitors import (
    MonitorText,
    Outcome,
    RateBound,
    Reads,
    Sampling,
    SignalKind,
    TextRule,
    TokenRule,
    Use,
    count_needed,
    dump_monitor,
    fit_monitor,
    load_case,
    load_monitor,
    make_planted_texts,
    parse_monitor,
    read_texts,
    record_alert,
    record_case,
    replay_case,
    run_monitor,
    save_case,
    save_monitor,
    set_threshold,
)
from audit_core.monitors.calibration import find_p_values
from audit_core.monitors.causal import take_read
from audit_core.monitors.drift import set_drift_rule, watch_drift
from audit_core.monitors.evaluation import Hits, compare_delays, compare_detection
from audit_core.monitors.planted import LAYER, MODEL
from audit_core.monitors.signals import estimate_covariance
from audit_core.monitors.texts import MAX_LINE_BYTES, split_parts
from audit_core.store.claims.change_log import list_stale
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, list_events


def flags(*values: int) -> Hits:
    return Hits(np.array(values, bool), np.where(np.array(values), 1.0, np.nan))


@pytest.mark.parametrize(("rate", "average", "this_set"), [(0.01, 99, 299), (0.05, 19, 59), (0.1, 9, 29)])
def test_the_fewest_calibration_texts_are_those_of_the_two_bounds(rate: float, average: int, this_set: int) -> None:
    """1 / rate − 1; and the smallest n with (1 − rate)^n ≤ 0.05."""
    for rate_bound, needed in ((RateBound.AVERAGE, average), (RateBound.THIS_SET, this_set)):
        assert count_needed(rate, rate_bound) == needed
        found = set_threshold(np.arange(needed, dtype=float), rate, rate_bound)
        assert (found.rank, found.value) == (needed, needed - 1)
        assert found.bound == pytest.approx(1 - 0.05 ** (1 / needed))
        with pytest.raises(Refused, match=f"{needed} or more"):
            set_threshold(np.arange(needed - 1, dtype=float), rate, rate_bound)


def test_the_bound_for_this_set_holds_in_19_of_20_calibrations_and_the_average_does_not_claim_to() -> None:
    """Uniform scores: the false-alarm rate of a threshold t is 1 − t, known for each of 200 calibration sets."""
    draw = np.random.default_rng(0)
    held = dict.fromkeys(RateBound, 0.0)
    rates: dict[RateBound, list[float]] = {one: [] for one in RateBound}
    for _ in range(200):
        scores = draw.random(100)
        for rate_bound in RateBound:
            rates[rate_bound].append(1 - set_threshold(scores, 0.1, rate_bound).value)
            held[rate_bound] += (rates[rate_bound][-1] <= 0.1) / 200
    assert held[RateBound.THIS_SET] >= 0.93
    assert 0.4 < held[RateBound.AVERAGE] < 0.75
    assert 0.08 < np.mean(rates[RateBound.AVERAGE]) <= 0.103


def test_a_maximum_over_tokens_is_calibrated_as_one_score_a_text() -> None:
    rule = TextRule()
    assert rule.score(np.array([99.0, 1.0, 3.0, 2.0])) == 3.0
    assert rule.find_alarm(np.array([99.0, 1.0, 3.0, 2.0]), 1.5) == 2
    assert rule.find_alarm(np.array([99.0, 3.0, 1.0, 2.0]), 1.5, since=2) == 3
    assert rule.find_alarm(np.array([99.0, 1.0]), 1.5) is None
    assert TextRule(TokenRule.LAST).score(np.array([9.0, 8.0, 1.0])) == 1.0


def test_what_the_output_does_not_show_is_found_inside_at_its_token_and_reads_a_correlate() -> None:
    found = make("unread").report
    assert found.found.detection is not None
    assert found.found.detection.low is not None
    assert found.found.detection.low > 0.8
    assert found.found.delay is not None
    assert abs(found.found.delay.value) < 1
    assert found.difference is not None
    assert found.difference.low is not None
    assert found.difference.low > 0.5
    assert len(found.baselines) == 4
    assert found.causal is not None
    assert found.causal.reads is Reads.CORRELATE
    low = found.found.false_alarms.low
    assert low is not None
    assert low < found.found.threshold.bound


def test_what_the_output_shows_too_is_no_gain_and_reads_what_the_output_depends_on() -> None:
    found = make("vote").report
    assert found.difference is not None
    assert found.difference.low is not None
    assert found.difference.high is not None
    assert found.difference.low < 0 < found.difference.high
    assert found.lead is not None
    assert (found.lead.value, found.lead.low) == (0, None)
    assert found.causal is not None
    assert found.causal.reads is Reads.CAUSE
    assert found.causal.identity_max <= 1e-4 < found.causal.noise_min


def test_cases_that_are_normal_texts_are_found_no_more_often_than_the_false_alarm_rate() -> None:
    """The control of every detection above: with nothing to detect, nothing is."""
    texts = make_planted_texts("vote", 199, 0, seed=1)
    cases = [replace(one, is_case=True, onset=5) for one in texts[155:]]
    found = fit_monitor(strict(), [*texts[:155], *cases], replace(RECIPE, draws=0)).report
    assert found.found.detection is not None
    assert found.found.detection.value <= 0.2
    assert found.difference is not None
    assert found.difference.low is not None
    assert found.difference.low < 0
    assert (found.causal, found.why_no_causal) == (None, "it was not asked for")


def test_a_distance_needs_no_cases_and_then_nothing_is_said_of_detection() -> None:
    texts = make_planted_texts("vote", 155, 0, seed=2)
    found = fit_monitor(strict(), texts, replace(RECIPE, signal=SignalKind.DISTANCE)).report
    assert (found.found.detection, found.difference, found.auroc) == (None, None, None)
    assert found.why_no_detection
    assert "no direction" in found.why_no_causal
    with pytest.raises(NotMeasured):
        fit_monitor(strict(), texts, RECIPE)


def test_a_feature_of_the_shipped_dictionary_is_a_monitor() -> None:
    """The feature fires at "=" when the majority is A; texts without "=" have value 0, and cases end in A … "="."""
    normal = make_planted_texts("vote", 155, 0, seed=3)
    cases = [MonitorText(f"case {at}", (0, *[30] * (at % 9 + 6), 29), True, at % 9 + 7) for at in range(40)]
    recipe = replace(RECIPE, signal=SignalKind.FEATURE, dictionary="planted-strict", feature=0)
    made = fit_monitor(strict(), [*normal, *cases], recipe)
    assert made.report.causal is not None
    assert made.report.causal.whole.low is not None
    assert made.threshold == 0
    assert made.report.found.detection is not None
    assert made.report.found.detection.value == 1
    with pytest.raises(Refused, match="Layer 0"):
        fit_monitor(strict(), [*normal, *cases], replace(recipe, layer=0))


def test_a_difference_against_the_monitor_is_reported_below_zero() -> None:
    """Ten cases that only the baseline finds: centre (0.5 − 10.5) / 12 = −0.83."""
    found = compare_detection(flags(*[0] * 10), flags(*[1] * 10))
    assert found.value == -1
    assert found.high is not None
    assert found.high < 0
    assert compare_detection(flags(1, 0), flags(1, 0)).value == 0
    assert compare_delays(flags(*[1] * 19), flags(*[1] * 19), seed=0) is None


def test_the_token_reading_is_the_stream_and_the_output_of_the_model() -> None:
    rows = [text.ids for text in make_planted_texts("vote", 3, 0, seed=0)]
    reading = strict().read_tokens(rows, LAYER)[1]
    np.testing.assert_allclose(reading.stream, strict().read_stream(rows, LAYER)[1])
    logits = strict().read_inputs([rows[1][:5], rows[1][:6]]).astype(float)
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    top = np.sort(logs[1])
    assert reading.entropy[5] == pytest.approx(-(np.exp(logs[1]) * logs[1]).sum(), rel=1e-3)
    assert reading.margin[5] == pytest.approx(top[-1] - top[-2], abs=1e-3)
    assert reading.surprise[5] == pytest.approx(-logs[0, rows[1][5]], rel=1e-3)
    assert np.isnan(reading.surprise[0])


def test_the_ablation_of_a_probe_leaves_nothing_that_it_reads() -> None:
    x = np.random.default_rng(0).normal(size=(200, 6)) @ np.random.default_rng(1).normal(size=(6, 6))
    weights = np.arange(1.0, 7.0)
    left = take_read(weights, x).erase(x) @ weights
    assert np.ptp(left) < 1e-9 < np.ptp(x @ weights)


def test_the_covariance_is_ledoits_and_wolfs() -> None:
    """Against the sums of their lemma, written out text by text."""
    x = np.random.default_rng(0).normal(size=(30, 5)) * np.arange(1, 6)
    apart = x - x.mean(0)
    sample = sum(np.outer(row, row) for row in apart) / 30
    even = np.trace(sample) / 5
    spread = ((sample - even * np.eye(5)) ** 2).sum()
    noise = sum(((np.outer(row, row) - sample) ** 2).sum() for row in apart) / 30**2
    share = min(noise, spread) / spread
    assert 0 < share < 1
    np.testing.assert_allclose(estimate_covariance(x), (1 - share) * sample + share * even * np.eye(5))


def test_drift_is_seen_soon_after_a_shift_and_seldom_without_one() -> None:
    draw = np.random.default_rng(0)
    calibration = draw.normal(size=200)
    rule = set_drift_rule(calibration, 100, seed=0)
    assert rule.run_length.low is not None
    assert rule.run_length.value > 75
    quiet = [watch_drift(calibration, draw.normal(size=20), rule.limit).at is not None for _ in range(50)]
    shifted = [watch_drift(calibration, draw.normal(2.0, size=40), rule.limit).at for _ in range(20)]
    assert np.mean(quiet) < 0.25
    assert all(at is not None for at in shifted)
    assert find_p_values(np.arange(9.0), np.array([100.0, 4.0, -100.0])) == pytest.approx([0.2, 1.0, 0.2])


def test_a_monitor_survives_its_file_and_says_the_same_there(tmp_path: Path) -> None:
    made = make("unread")
    save_monitor(made, tmp_path / "m.safetensors")
    again = load_monitor(tmp_path / "m.safetensors")
    assert again.sha256 == made.sha256
    assert again.report == made.report
    texts = make_planted_texts("unread", 5, 5, seed=9)
    assert run_monitor(strict(), again, texts) == run_monitor(strict(), made, texts)
    with pytest.raises(Refused, match="exists"):
        save_monitor(made, tmp_path / "m.safetensors")


def test_a_changed_file_is_noticed_and_a_malformed_one_refused() -> None:
    raw = dump_monitor(make("unread"))
    arrays, size = load(raw), int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])["__metadata__"]

    def rebuild(change: Any = None, **others: np.ndarray) -> bytes:
        described = json.loads(header["monitor"])
        if change is not None:
            change(described)
        return save(arrays | others, metadata=header | {"monitor": json.dumps(described)})

    assert parse_monitor(rebuild()).sha256 == make("unread").sha256
    for changed in (
        rebuild(lambda one: one["report"]["found"]["threshold"].update(value=-1e9)),
        rebuild(weights=arrays["weights"] + 1),
    ):
        with pytest.raises(IntegrityError):
            parse_monitor(changed)
    hostile = (
        b"", raw[:100], b"\xff" * 200, (1 << 40).to_bytes(8, "little") + raw[8:], rebuild(lambda one: one.update(more=1)),
        rebuild(lambda one: one.update(format=3)), rebuild(lambda one: one["recipe"].update(signal="pickle")),
        rebuild(lambda one: one["report"].pop("drift")), rebuild(weights=arrays["weights"][:3, None]),
        rebuild(weights=np.full_like(arrays["weights"], np.nan)), rebuild(calibration=arrays["calibration"][::-1].copy()),
        rebuild(extra=np.zeros(3)), save(arrays, metadata={"monitor": "[" * 100_000, "sha256": "0"}),
    )  # fmt: skip
    for bad in hostile:
        with pytest.raises(Refused):
            parse_monitor(bad)


def test_a_monitor_of_another_model_does_not_score() -> None:
    with pytest.raises(Refused, match="calibrated on"):
        run_monitor(open_subject("planted-induction"), make("unread"), make_planted_texts("unread", 1, 0, seed=0))


@pytest.mark.parametrize(
    "line",
    [
        b"[]", b"{", b'{"text": 3}', b'{"ids": [0, 99]}', b'{"ids": [0, -1]}', b'{"ids": [0]}', b'{"ids": [0, 1], "text": "a"}',
        b'{"ids": [0, 1], "case": 1}', b'{"ids": [0, 1], "onset": 1}', b'{"ids": [0, 1], "case": true, "onset": 2}',
        b'{"ids": [0, 1], "other": 1}', b'{"ids": [' + b"1, " * 30 + b"1]}", b" " * (MAX_LINE_BYTES + 1), b"[" * 60_000,
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_used_is_refused(line: bytes) -> None:
    with pytest.raises(Refused):
        read_texts([line], strict().tokenizer)


def test_texts_are_read_with_their_onset_and_parts_share_no_group() -> None:
    lines = [b'{"text": "w01 w02 A", "case": true, "onset": 8}', b"", b'{"ids": [0, 1], "id": "two"}']
    first, second = read_texts(lines, strict().tokenizer)
    assert (first.ids, first.onset, second.id, second.is_case) == ((0, 1, 2, 30), 3, "two", False)
    texts = [MonitorText(str(at), (0, 1), False, None, f"g{at // 3}") for at in range(90)]
    parts = split_parts(texts, seed=0)
    groups = [{one.group for one in part} for part in (parts.fit, parts.calibration, parts.test)]
    assert sum(map(len, groups)) == 30 == len(set().union(*groups))
    with pytest.raises(Refused, match="one kind"):
        split_parts([*texts, MonitorText("c", (0, 1), True, 1, "g0")], seed=0)


def test_a_stored_case_is_written_again_bit_for_bit_or_names_the_first_token_that_differs(tmp_path: Path) -> None:
    monitor, prompt = make("unread"), make_planted_texts("unread", 1, 0, seed=4)[0].ids[:8]
    for sampling in (Sampling(5, 0.0, 0), Sampling(5, 1.0, 7)):
        case = record_case(strict(), monitor, prompt, sampling)
        path = tmp_path / f"{sampling.temperature}.json"
        save_case(case, path)
        assert load_case(path) == case
        found = replay_case(strict(), monitor, case)
        assert (found.outcome, found.differs_at, found.changed_at) == (Outcome.REPRODUCED, None, None)
    assert record_case(strict(), monitor, prompt, Sampling(5, 1.0, 8)).written != case.written
    swapped = (*case.written[:3], (case.written[3] + 1) % 32, case.written[4])
    found = replay_case(strict(), monitor, replace(case, written=swapped))
    assert (found.outcome, found.differs_at) == (Outcome.NOT_REPRODUCED, 3)
    assert found.changed_at is not None
    assert found.changed_at >= len(prompt) + 3
    other = replay_case(open_subject("planted-induction"), monitor, case)
    assert not other.is_same_model
    assert len(other.now) == len(other.before) == 13
    path.write_text(path.read_text().replace('"seed": 7', '"seed": 8'))
    with pytest.raises(IntegrityError):
        load_case(path)
    path.write_text("[" * 100_000)
    with pytest.raises(Refused):
        load_case(path)


def test_an_alarm_is_an_event_and_makes_claims_stale_only_if_asked(tmp_path: Path) -> None:
    freeze_by_hand(tmp_path)
    monitor = make("unread")
    run = run_monitor(strict(), monitor, make_planted_texts("unread", 0, 3, seed=5))
    held = {"home": tmp_path, "texts_sha256": "0" * 64, "by": "nora"}
    assert record_alert(monitor=monitor, run=run, marks_stale=False, **held).stale == ()  # type: ignore[arg-type]
    assert record_alert(monitor=monitor, run=run, marks_stale=True, **held).stale == ()  # type: ignore[arg-type]
    assert not list_stale(tmp_path), "a claim about another model is not this monitor's"
    of_claim = replace(monitor, model=replace(monitor.model, short=PINS.model_digest))
    for stale in (("C-0001",), ()):
        assert record_alert(monitor=of_claim, run=run, marks_stale=True, **held).stale == stale  # type: ignore[arg-type]
    assert [row.trigger.kind.value for row in list_stale(tmp_path)] == ["incident"]
    with open_database(tmp_path) as connection:
        events = list_events(connection, action=Action.MONITOR_ALARMED)
    assert [one.payload["n_alarms"] for one in events] == [3] * 4
    quiet = replace(run, texts=(), drift=replace(run.drift, at=None), use=Use(run.monitor))
    with pytest.raises(Refused, match="No alarm"):
        record_alert(monitor=monitor, run=quiet, marks_stale=False, **held)  # type: ignore[arg-type]


def test_exit_codes_tell_a_pipeline_none_alarm_drift_and_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("audit_core.cli.monitors.open_subject", lambda name, **_: strict())
    made = make("unread")
    save_monitor(made, tmp_path / "m.safetensors")
    texts = make_planted_texts("unread", 60, 4, seed=6)
    scored = sorted(zip(run_monitor(strict(), made, texts).texts, texts, strict=True), key=lambda one: one[0].score)
    quiet = [text for found, text in scored if not found.is_alarm]

    def run(rows: list[MonitorText], *more: str) -> tuple[int, dict[str, Any]]:
        raw = "\n".join(json.dumps({"id": one.id, "ids": list(one.ids)}) for one in rows).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        code = main(["monitor", "run", str(tmp_path / "m.safetensors"), "--model", MODEL, "--json", *more])
        said = capsys.readouterr().out
        return code, json.loads(said) if said else {}

    assert run(quiet[:2])[0] == 0
    code, said = run(list(texts[-1:]), "--log")
    assert (code, said["alarms"], said["texts"][0]["alarm"]) == (1, 1, True)
    code, said = run([replace(quiet[0], id=str(at)) for at in range(40)])
    assert (code, said["alarms"]) == (3, 0)
    assert run([])[0] == 2
    with open_database(tmp_path / "home") as connection:
        assert len(list_events(connection, action=Action.MONITOR_ALARMED)) == 1
    assert main(["monitor", "show", str(tmp_path / "m.safetensors")]) == 0
    assert "reads a correlate" in capsys.readouterr().out
