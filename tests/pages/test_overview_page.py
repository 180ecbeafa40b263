"""The overview opened by Streamlit's own test driver: the story's steps, its words, its raw numbers, and the cost of audits."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from audit_core import RunLog, State
from audit_core.store import RunRecord
from audit_core.story import Story, load_story
from tests.pages.test_live_audit_page import ROOT

COSTS = "Audit costs and settled claims"
STEPS = ("1", "2", "3", "4", "5", "6")
HOSTILE = "<img src=x> **bold**"


def open_page(step: str = "", *boxes: str) -> AppTest:
    """The page at a step, with these boxes open: AppTest cannot open an expander."""
    test = AppTest.from_file(str(ROOT / "pages/overview.py"), default_timeout=60)
    for box in boxes:
        test.session_state[f"open-{box}"] = True
    if step:
        test.query_params["step"] = step
    return test.run()


@cache
def read_step(step: str) -> AppTest:
    """The page of an empty home at a step, opened once for all tests that only look at it."""
    return open_page(step)


def choose_step(test: AppTest, step: str) -> None:
    test.session_state["step"] = step
    test.run()


def read_words(test: AppTest) -> str:
    return "\n".join(one.value for one in test.markdown)


@pytest.mark.parametrize("step", STEPS)
def test_each_step_opens_by_its_link_and_says_that_it_is_recorded(step: str, home: Path) -> None:
    test = read_step(step)
    assert not test.exception
    assert f"Step {step} of 6" in test.subheader[0].value
    assert f":blue-badge[:material/history: recorded {load_story().measured_with.recorded_at[:10]}]" in read_words(test)
    assert test.query_params["step"] == step


def test_next_and_back_walk_the_story_and_stop_at_its_ends(home: Path) -> None:
    test = open_page()
    assert test.button(key="back").disabled
    test.button(key="next").click().run()
    assert "Step 2 of 6" in test.subheader[0].value
    assert test.query_params["step"] == "2"
    test.button(key="back").click().run()
    assert "Step 1 of 6" in test.subheader[0].value
    choose_step(test, "6")
    assert test.button(key="next").disabled


IN_POPOVERS = ("Each cell is a head", "Controls passed", "Random baseline", "Measured with")
"""Beginnings of texts that a press opens: AppTest lists them like any other."""


def test_all_steps_are_read_in_three_minutes(home: Path) -> None:
    read = [
        one.value
        for step in STEPS
        for one in read_step(step).markdown
        if "badge[" not in one.value and not one.value.startswith(IN_POPOVERS)
    ]
    assert sum(len(text.split()) for text in read) <= 350


def test_no_sentence_of_the_story_mixes_attention_with_effects(home: Path) -> None:
    for step in STEPS:
        for sentence in re.split(r"(?<=[.:]) ", read_words(read_step(step)).replace("\n", " ")):
            is_causal = re.search(r"[Aa]blat|lowers|raises|logits", sentence)
            assert not (is_causal and re.search(r"attention", sentence)), sentence


def test_a_link_to_a_step_that_is_not_there_opens_the_first(home: Path) -> None:
    assert "Step 1 of 6" in open_page("99").subheader[0].value


@pytest.mark.parametrize(("step", "wanted", "unwanted"), [("1", "observational", "causal"), ("3", "causal", "observational"), ("4", "causal", "observational")])  # fmt: skip
def test_a_step_of_one_axis_bears_the_badge_of_that_axis_alone(
    step: str, wanted: str, unwanted: str, home: Path
) -> None:
    badges = re.findall(r"-badge\[:material/\w+: (\w+)\]", read_words(read_step(step)))
    assert wanted in badges
    assert unwanted not in badges


def test_both_panes_of_the_second_step_bear_their_own_badge(home: Path) -> None:
    badges = re.findall(r"-badge\[:material/\w+: (\w+)\]", read_words(read_step("2")))
    assert {"observational", "causal", "recorded"} <= set(badges)


def test_relies_on_is_only_beside_a_supported_verdict(home: Path) -> None:
    story = load_story()
    assert any(found.result.state == State.SUPPORTED for found in story.claims)
    for step in STEPS:
        for line in read_words(open_page(step, "verdicts")).split("\n"):
            if re.search(r"\b(relies on|uses|because)\b", line):
                assert "**Supported.**" in line


def test_every_verdict_is_quoted_with_its_state_and_interval(home: Path) -> None:
    words = read_words(open_page("4", "verdicts")).replace("\\", "")
    for found in load_story().claims:
        assert found.result.sentence in words
        assert re.search(r"\[-?\d.*\(9\d %, n = 80", found.result.sentence)


def test_the_raw_numbers_behind_a_verdict_are_two_clicks_from_the_first_step(home: Path) -> None:
    test = open_page()
    choose_step(test, "4")  # first click
    test.session_state["open-verdicts"] = True  # second click: AppTest cannot open an expander
    test.run()
    items = next(one.value for one in test.dataframe if "prompt" in one.value)
    story: Story = load_story()
    acting = story.find_claim("acts").result.items
    assert len(items) == len(acting) == 3 * story.prompts.confirmatory_n
    assert items["judged"].tolist() == [item.judged for item in acting]
    assert set(items["unit"]) == {"logits"}


def test_going_live_chooses_prompt_and_circuit_whatever_was_chosen_before(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import streamlit as st

    opened: list[object] = []
    monkeypatch.setattr(st, "switch_page", opened.append)
    test = open_page("6")
    test.session_state["c"], test.session_state["scope"], test.session_state["ab"] = "L0.H0", "confirmatory", "zero"
    test.button(key="go-live").click().run()
    assert len(opened) == 1
    kept = test.session_state["kept_choices"]
    chosen = {key: kept[key] for key in ("model", "set", "prompt", "c", "scope", "ab", "dir")}
    assert chosen == {
        "model": "default", "set": "indirect_object", "prompt": "io-0001", "c": load_story().named["acts"], "scope": "one",
        "ab": "resample", "dir": "noising",
    }  # fmt: skip


def test_a_person_who_may_not_run_sees_whom_to_ask(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ui.flow import actions

    monkeypatch.setattr(actions, "may", lambda permission: False)
    test = open_page("6")
    assert not [one for one in test.button if one.key == "go-live"]
    assert any("Ask a researcher" in one.value for one in test.info)


def test_a_stale_record_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ui.overview import story as overview_story

    story = load_story()
    old = replace(story, measured_with=replace(story.measured_with, rule_version=1))
    monkeypatch.setattr(overview_story, "load_story", lambda: old)
    assert "the verdict rule changed" in open_page().warning[0].value
    monkeypatch.undo()
    assert not open_page().warning


# What audits cost


def log_run(home: Path, run_id: str, kind: str, result: object, wall_s: float, cpu_s: float | None) -> None:
    record = RunRecord(
        run_id, "2026-01-01T00:00:00.000+00:00", "ada", "s", kind, "done", "", "", f"key {run_id}", "m", "p", "{}", "{}",
        json.dumps(result), wall_s,
    )  # fmt: skip
    RunLog(home).append(record, cpu_s=cpu_s)


def test_without_a_run_the_page_says_what_to_do(home: Path) -> None:
    assert any("No audit has run here yet" in one.value for one in open_page("", COSTS).info)


def test_cost_is_beside_what_it_settled(home: Path) -> None:
    log_run(home, "a", "claim_test", {"state": "supported", "reason": None}, 90.0, 130.0)
    log_run(home, "b", "claim_test", {"state": "inconclusive", "reason": "low_power"}, 30.0, None)
    log_run(home, HOSTILE, HOSTILE, {}, 1.0, None)
    test = open_page("", COSTS)
    assert not test.exception
    table = next(one.value for one in test.dataframe if "what it settled" in one.value)
    assert list(table.iloc[0]) == [
        "claim_test", 2, "2.0 min", "2.2 min (1 of 2 runs recorded)", "1 supported, 1 inconclusive (low_power)", "2.0 min",
    ]  # fmt: skip
    assert list(table.iloc[1])[3] == "not recorded"
    (figure,) = [one for one in test.get("plotly_chart") if "Seconds" in one.proto.spec]
    bars = json.loads(figure.proto.spec)["data"]
    assert [bar["marker"]["pattern"]["shape"] for bar in bars] == ["", "/"], "told apart without colour"
    assert bars[1]["text"][1] == "CPU not recorded"
    assert "<img" not in figure.proto.spec
