"""Rates of the audits' own verdict rules: cases counted by hand, a rule that always says the same, seeds that change nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from audit_core import cli
from audit_core.audit import Example, Outcome, Verdicts, know_verdict
from audit_core.audits.benchmark import PLUGIN
from audit_core.calibration import list_answer_rows, list_rule_rows, list_unrated_rows, load_calibration
from audit_core.calibration.known_answers import make_example
from audit_core.calibration.other_rules import (
    SAME,
    OtherRules,
    RuleCase,
    count_rules,
    replace_rules,
    summarise_rule,
)
from audit_core.calibration.other_rules_text import NUMBER, UNMEASURED
from audit_core.calibration.tallies import describe_count
from audit_core.errors import ControlFailed, NotMeasured
from audit_core.registry import list_plugins
from audit_core.run import Auditor
from audit_core.store import RunLog

Open = Callable[[str, int], Any]
KNOWN = Verdicts(lambda found: found, "yes", frozenset({"open"}))


@pytest.fixture(scope="module")
def real(load_planted: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Open:
    """One build, whatever the seed: prompts alone differ."""
    log = RunLog(tmp_path_factory.mktemp("log"))
    kept = cache(lambda name: Auditor(load_planted(name), log))
    return lambda name, seed: kept(name)


def rate(audit: Any, open_build: Open, monkeypatch: pytest.MonkeyPatch, *, samples: int) -> Any:
    monkeypatch.setattr("audit_core.calibration.other_rules.list_plugins", lambda _: {"benchmark": audit})
    (found,) = count_rules(open_build, samples=samples)
    return found


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (["yes", "yes"], Outcome.RIGHT),
        (["yes", "open"], Outcome.OPEN),
        (["open", "no"], Outcome.WRONG),
    ],
)
def test_a_case_is_right_if_all_its_verdicts_are_and_wrong_if_one_is_decided_otherwise(
    said: list[str], outcome: Outcome
) -> None:
    assert KNOWN.judge(said) is outcome
    example = know_verdict({}, "All say yes.", KNOWN)
    assert example.is_found(said) is (outcome is Outcome.RIGHT)


def test_verdicts_that_nothing_is_known_about_are_an_error_and_no_case() -> None:
    with pytest.raises(ValueError, match="0 verdicts"):
        KNOWN.judge([])
    with pytest.raises(ValueError, match="1 verdicts beside 2"):
        replace(KNOWN, right=("yes", "no")).judge(["yes"])


def test_cases_are_counted_by_hand_and_those_without_a_result_are_no_part_of_a_share() -> None:
    first, second = know_verdict({}, "One.", KNOWN), know_verdict({}, "Two.", KNOWN, model="other")
    audit = replace(PLUGIN, examples=(first,), contrasts=(second,))
    outcomes = [Outcome.RIGHT] * 3 + [Outcome.OPEN]
    cases = [RuleCase(first, "own", f"{at}", one) for at, one in enumerate(outcomes)]
    cases += [RuleCase(second, "other", "same", one) for one in (Outcome.WRONG, Outcome.RIGHT, None)]
    found = summarise_rule("benchmark", audit, cases)
    assert found.shares is not None
    shares = (found.shares.right, found.shares.abstained, found.shares.wrong)
    assert [describe_count(one) for one in shares] == ["4 of 6", "1 of 6", "1 of 6"]
    assert [(one.builds, one.right, one.open, one.wrong, one.not_measured) for one in found.answers] == [
        (4, 3, 1, 0, 0),
        (1, 1, 0, 1, 1),
    ]
    assert found.wrong_by_model is not None
    assert (found.wrong_by_model.n, found.wrong_by_model.templates) == (6, 2)
    assert summarise_rule("benchmark", audit, cases[:4]).wrong_by_model is None, "one model"


def test_a_rule_that_always_says_the_same_is_counted_wrong(real: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positive control: the same audit as it is has no wrong case."""
    rule = rate(PLUGIN, real, monkeypatch, samples=2)
    assert rule.no_rate == ""
    assert rule.shares.wrong.value == 0
    assert rule.shares.right.n == 6

    def open_stuck(name: str, seed: int) -> Any:
        auditor = real(name, seed)
        first = make_example(PLUGIN, PLUGIN.examples[0], auditor.subject)
        return SimpleNamespace(subject=auditor.subject, execute=lambda *_: auditor.execute("benchmark", first))

    stuck = rate(PLUGIN, open_stuck, monkeypatch, samples=2)
    assert describe_count(stuck.shares.wrong) == "4 of 6"
    assert [(one.right, one.wrong) for one in stuck.answers] == [(2, 0), (0, 2), (0, 2)]


def test_seeds_that_change_neither_prompts_nor_weights_give_no_rate(
    real: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "audit_core.calibration.other_rules.make_example",
        lambda audit, example, subject, *, seed: make_example(audit, example, subject),
    )
    found = rate(replace(PLUGIN, examples=PLUGIN.examples[:1], contrasts=()), real, monkeypatch, samples=3)
    assert (found.shares, found.no_rate) == (None, SAME)
    assert [(one.right, one.wrong) for one in found.answers] == [(1, 0)]


def test_a_reason_is_counted_apart_and_a_failed_control_stops(real: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_with(error: Exception) -> Open:
        def fail(*_: Any) -> None:
            raise error

        return lambda name, seed: SimpleNamespace(subject=real(name, seed).subject, execute=fail)

    found = rate(PLUGIN, fail_with(NotMeasured("low_power", "too few.")), monkeypatch, samples=2)
    assert found.shares is None
    assert [one.not_measured for one in found.answers] == [2, 2, 2]
    with pytest.raises(ControlFailed):
        rate(PLUGIN, fail_with(ControlFailed("broken.")), monkeypatch, samples=2)


def test_every_audit_has_a_rate_in_the_record_or_says_why_not() -> None:
    audits: Any = list_plugins("audits")
    record = load_calibration()
    assert record is not None
    rated = {row[0] for row in list_rule_rows(record.others)}
    unrated = dict(list_unrated_rows(record.others))
    assert rated | set(unrated) == set(audits)
    assert not rated & set(unrated)
    assert all(why.endswith(".") for why in unrated.values())
    assert {row[0] for row in list_answer_rows(record.others)} == rated
    for name, audit in audits.items():
        assert bool(audit.no_rate) <= (not audit.examples), f"{name}: a reason although it has an example"


def test_rates_of_another_version_of_an_audit_are_not_shown() -> None:
    example = Example({}, "A number.", lambda _: True)
    cases = [RuleCase(example, "own", f"{at}", Outcome.RIGHT) for at in range(2)]
    rule = summarise_rule("benchmark", replace(PLUGIN, examples=(example,), contrasts=()), cases)
    (row,) = list_rule_rows(OtherRules((rule,)))
    assert row[3] == NUMBER
    old = OtherRules((replace(rule, version=rule.version + 1),))
    assert list_rule_rows(old) == ()
    assert dict(list_unrated_rows(old))["benchmark"] == dict(list_unrated_rows(None))["benchmark"] == UNMEASURED
    other = replace(rule, audit="ablation")
    assert [one.audit for one in replace_rules(old, [other]).rules] == ["ablation", "benchmark"]
    assert replace_rules(old, [rule]).rules == (rule,)


@pytest.mark.parametrize(
    "words", [["--only", "benchmark"], ["--audits", "--samples", "0"], ["--audits", "--samples", "1", "--only", "x"]]
)
def test_what_cannot_be_counted_is_refused(words: list[str]) -> None:
    assert cli.main(["calibrate", *words]) == 2
