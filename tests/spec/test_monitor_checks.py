"""What is asked of a finished monitor: its rate on texts it has never seen and by style, its cost, and when it expires."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load, save
from toy.monitors import make, strict

from audit_core.cli import main
from audit_core.data_folder import DATA
from audit_core.errors import ControlFailed, IntegrityError, NotMeasured, Refused
from audit_core.monitors import (
    SHIPPED,
    Holds,
    Monitor,
    MonitorText,
    RateBound,
    TextRule,
    Use,
    check_monitor,
    dump_monitor,
    load_monitor,
    load_shipped_check,
    load_shipped_monitor,
    load_use,
    make_planted_texts,
    overhead,
    parse_monitor,
    run_monitor,
    save_monitor,
    save_use,
    summarise_check,
)
from audit_core.monitors.evaluation import Series, evaluate, share_false
from audit_core.monitors.expiry import list_expired, say_validity
from audit_core.monitors.overhead import measure_overhead
from audit_core.monitors.planted import MODEL
from audit_core.monitors.scoring import count_repeated, find_collapse
from audit_core.monitors.signals import ProbeSignal

CASES = make_planted_texts("unread", 0, 30, seed=8)


def new(n: int, style: str = "", **changes: Any) -> list[MonitorText]:
    return [
        replace(one, id=f"{style}{at}", style=style, **changes)
        for at, one in enumerate(make_planted_texts("unread", n, 0, seed=7))
    ]


# A third split


def test_a_style_that_looks_like_the_cases_has_more_false_alarms_than_stated_and_the_traffic_has_not() -> None:
    monitor = make("unread")
    dialect = [replace(one, id=f"d{one.id}", is_case=False, onset=None, style="dialect") for one in CASES]
    cases = [replace(one, id=f"c{one.id}") for one in CASES]
    found = check_monitor(strict(), monitor, [*new(150), *cases, *dialect], with_overhead=False)
    plain, other = found.styles
    assert (plain.style, plain.false_alarms.n, other.style, other.false_alarms.n) == ("as it is", 150, "dialect", 30)
    assert plain.holds in (Holds.WITHIN, Holds.OPEN)
    assert plain.false_alarms.high is not None
    assert (plain.holds is Holds.WITHIN) is (plain.false_alarms.high <= 0.05)
    assert other.holds is Holds.ABOVE
    assert other.false_alarms.value > 0.8
    assert other.p < other.p_adjusted < 1e-6
    assert plain.detection is not None
    assert plain.detection.value == other.false_alarms.value, "the same texts, called cases"
    assert other.detection is None
    assert found.overhead is None
    said = "\n".join(summarise_check(found))
    assert "above the stated rate: dialect" in said
    assert "never seen" in said


def test_texts_that_were_fitted_or_calibrated_on_are_refused_and_those_of_the_third_part_are_not() -> None:
    monitor, texts = make("unread"), make_planted_texts("unread", 155, 44, seed=0)
    with pytest.raises(
        Refused, match=f"{155 - monitor.report.counts.test + 22} of 199 texts were fitted or calibrated on"
    ):
        check_monitor(strict(), monitor, texts)
    from audit_core.monitors.texts import split_parts

    third = split_parts(texts, seed=0).test
    again = check_monitor(strict(), monitor, third, with_overhead=False)
    assert again.styles[0].false_alarms == monitor.report.found.false_alarms


def test_of_texts_of_one_group_the_first_counts_so_that_those_that_count_are_independent() -> None:
    texts = [replace(one, group=f"g{at // 2}") for at, one in enumerate(new(20))]
    found = check_monitor(strict(), make("unread"), texts, with_overhead=False)
    assert (found.styles[0].false_alarms.n, found.n_left_out) == (10, 10)
    only_cases = [replace(one, style="odd") for one in CASES]
    with pytest.raises(Refused, match="0 normal texts of style 'odd'"):
        check_monitor(strict(), make("unread"), [*new(5), *only_cases])


def test_the_recorded_checks_are_of_the_shipped_files_and_their_first_rate_is_not_above_the_stated_one() -> None:
    found = {name: load_shipped_check(name) for name in SHIPPED}
    for name, check in found.items():
        assert (check is None) is not (DATA / "monitors" / f"{name}.check.json").exists(), "a stale record is not shown"
        if check is not None:
            assert check.styles[0].holds is not Holds.ABOVE
            # A planted model gives as many texts as are asked for; the documentation has few files that were not used.
            assert check.styles[0].false_alarms.n >= (1_000 if name.startswith("planted") else 50)
            assert check.overhead is not None


# Cost


def test_the_cost_is_timed_in_pairs_over_passes_in_which_every_token_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = make("unread")
    monkeypatch.setattr(overhead, "REPEATS", 1)
    with pytest.raises(NotMeasured, match="needs 20 texts"):
        measure_overhead(strict(), monitor, new(19))
    slow = ProbeSignal.score

    def wait(self: ProbeSignal, x: Any) -> Any:
        import time

        time.sleep(0.016)
        return slow(self, x)

    with monkeypatch.context() as patch:
        patch.setattr(ProbeSignal, "score", wait)
        found = measure_overhead(strict(), monitor, new(20))
    # 16 ms over the 17 tokens of a text, and what the machine adds.
    assert 0.9 < found.extra.value < 5
    assert (found.extra.n, found.extra.unit, found.share.n) == (20, "ms per token", 20)
    assert found.without.value > 0
    assert found.share.value == pytest.approx(found.extra.value / found.without.value)
    monkeypatch.setattr(ProbeSignal, "score", lambda self, x: slow(self, x)[1:])
    with pytest.raises(ControlFailed, match="not every one"):
        measure_overhead(strict(), monitor, new(20))


# Expiry


def test_a_monitor_expires_on_its_date_after_its_texts_and_with_drift() -> None:
    monitor = make("unread")
    use, made = Use(monitor.sha256, 10), datetime.fromisoformat(monitor.made_at)
    assert list_expired(monitor, use, now=made + timedelta(days=179)) == ()
    (said,) = list_expired(monitor, use, now=made + timedelta(days=180))
    assert f"{made + timedelta(days=180):%Y-%m-%d}" in said
    endless = replace(monitor, recipe=replace(monitor.recipe, valid_days=0))
    assert list_expired(endless, use, now=made + timedelta(days=9_999)) == ()
    few = replace(monitor, recipe=replace(monitor.recipe, valid_texts=10))
    assert list_expired(few, use) == ()
    assert "has scored 11" in list_expired(few, replace(use, n_texts=11))[0]
    assert "drifted at text 7" in list_expired(monitor, replace(use, drifted_at=7))[0]
    assert "for 10 texts" in say_validity(few)


def test_the_count_and_the_drift_go_on_over_several_runs(tmp_path: Path) -> None:
    """One run over equal texts drifts; so do as many runs over one, if each begins where the last ended."""
    monitor, one = make("unread"), new(1)[0]
    texts = [replace(one, id=str(at)) for at in range(20)]
    whole, path = run_monitor(strict(), monitor, texts), tmp_path / "use.json"
    assert whole.drift.at is not None
    for text in texts:
        found = run_monitor(strict(), monitor, [text], use=load_use(path, monitor))
        save_use(found.use, path)
    assert found.use == whole.use
    assert (found.use.n_texts, found.use.drifted_at) == (20, whole.drift.at)
    assert not found.is_described
    path.write_text(path.read_text().replace('"n_texts": 20', '"n_texts": -1'))
    with pytest.raises(Refused, match="cannot be read"):
        load_use(path, monitor)
    save_use(Use("0" * 64), path)
    with pytest.raises(Refused, match="counts the texts of monitor"):
        load_use(path, monitor)


def test_exit_codes_tell_a_pipeline_that_a_monitor_has_expired_and_that_a_check_found_more_alarms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("audit_core.cli.monitors.open_subject", lambda name, **_: strict())
    made, texts = make("unread"), new(30)
    quiet = texts[[one.is_alarm for one in run_monitor(strict(), made, texts).texts].index(False)]
    old = replace(made, made_at=(datetime.now(UTC) - timedelta(days=181)).isoformat(timespec="seconds"))
    few = replace(made, recipe=replace(made.recipe, valid_texts=1))
    paths = [tmp_path / f"{name}.safetensors" for name in ("made", "old", "few")]
    for monitor, path in zip((made, old, few), paths, strict=True):
        save_monitor(monitor, path)

    def run(verb: str, path: Path, rows: list[MonitorText], *more: str) -> tuple[int, dict[str, Any]]:
        raw = "\n".join(json.dumps({"id": one.id, "ids": list(one.ids), "style": one.style}) for one in rows).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        code = main(["monitor", verb, str(path), "--model", MODEL, "--json", *more])
        return code, json.loads(capsys.readouterr().out)

    assert run("run", paths[0], [quiet])[0] == 0
    code, said = run("run", paths[1], [quiet])
    assert (code, said["alarms"], len(said["expired"])) == (4, 0, 1)
    assert run("run", paths[1], [CASES[0]])[0] == 1, "an alarm comes before an expiry"
    state = ("--state", str(tmp_path / "s.json"))
    assert [run("run", paths[2], [quiet], *state)[0] for _ in range(2)] == [0, 4]
    odd = [replace(one, is_case=False, onset=None, style="odd") for one in CASES]
    out = tmp_path / "check.json"
    code, said = run("check", paths[0], [*texts, *odd], "--no-overhead", "--out", str(out))
    assert (code, [one["holds"] for one in said["styles"]][1]) == (1, "above the stated rate")
    assert json.loads(out.read_text())["styles"] == said["styles"]
    assert run("check", paths[0], texts, "--no-overhead")[0] == 0


# Files of the first format


def as_first_format(monitor: Monitor) -> Monitor:
    return replace(monitor, recipe=replace(monitor.recipe, valid_days=0, valid_texts=0), seen=(), format=1)


def test_a_file_of_the_first_format_is_read_and_says_no_end_and_cannot_be_made_of_a_newer_one(tmp_path: Path) -> None:
    old = as_first_format(make("unread"))
    again = parse_monitor(dump_monitor(old))
    assert (again.sha256, again.recipe.valid_days, again.format) == (old.sha256, 0, 1)
    check = check_monitor(strict(), again, new(5), with_overhead=False)
    assert not check.is_seen_known
    assert "was not checked" in summarise_check(check)[0]
    raw = dump_monitor(make("unread"))
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    described = json.loads(header["monitor"])
    for key in ("valid_days", "valid_texts"):
        del described["recipe"][key]
    del described["seen"]
    forged = save(load(raw), metadata=header | {"monitor": json.dumps(described | {"format": 1})})
    with pytest.raises(IntegrityError):
        parse_monitor(forged)
    assert load_shipped_monitor("default-prose-to-code").report.counts.test > 0
    save_monitor(make("unread"), tmp_path / "m.safetensors")
    assert load_monitor(tmp_path / "m.safetensors").seen == make("unread").seen


# Repeated tokens


def test_a_collapse_begins_where_the_text_first_repeats_what_stood_just_before() -> None:
    words = list(range(10, 30))
    assert find_collapse((0, *words)) is None
    assert find_collapse((0, *words, *[1, 2, 3] * 3)) == 1 + 20 + 3, "three tokens, and then the same again twice"
    assert find_collapse((0, *words, *[1, 2, 3] * 2, 4)) is None
    assert find_collapse((0, 7, 7, 7, 7, 7, 7, 7)) == 2
    assert find_collapse((0, *[1, 2] * 3)) is None, "four tokens are repeated, and six are needed"


def test_repeated_tokens_find_a_collapse_and_are_computed_for_every_monitor() -> None:
    """No normal text repeats a word, so that the threshold is 0 and any repeat is above it."""
    normal = [text.ids for text in make_planted_texts("vote", 60, 0, seed=3)]
    cases = [(*ids[:9], *ids[5:9] * 2) for ids in normal[:20]]
    series = Series(*(tuple(map(count_repeated, rows)) for rows in (normal, normal[:5], cases)), (9,) * 20)
    found, _ = evaluate(series, TextRule(), 0.05, RateBound.THIS_SET, seed=0)
    assert found.detection is not None
    assert found.delay is not None
    assert (found.threshold.value, found.false_alarms.value, found.detection.value, found.delay.value) == (0, 0, 1, 0)
    assert "repeats_high" in {one.signal.value for one in make("unread").report.baselines}


def test_texts_of_one_group_widen_the_interval_of_false_alarms() -> None:
    alarms = [True] * 4 + [False] * 36
    apart, together = (
        share_false(alarms, names) for names in ([str(at) for at in range(40)], [str(at // 4) for at in range(40)])
    )
    assert apart.value == together.value == 0.1
    assert apart.high is not None
    assert together.high is not None
    assert together.high > apart.high + 0.1
    assert together.templates == 10
