"""The page Campaigns opened by Streamlit's own test driver: recorded, run here, running, cancelled, and hostile."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from audit_core.campaigns import (
    CampaignFolder,
    Plan,
    Question,
    QuestionState,
    check_sent,
    list_campaigns,
    read_output,
    read_status,
    start_process,
)
from audit_core.campaigns.folder import SCHEMA, Spent
from audit_core.campaigns.launch import FILES
from audit_core.campaigns.page_process import run_process
from audit_core.campaigns.question import Source
from audit_core.campaigns.recorded import read_recorded_campaign
from audit_core.errors import Refused
from audit_core.run import Actor, Ending
from audit_core.store import RunLog, RunStart
from tests.pages.test_claims_page import HOSTILE, ROOT, open_page
from tests.pages.test_dead_hook_on_the_page import wait_for
from ui.campaigns import act
from ui.campaigns.drawings import draw_states, name_row
from ui.flow import services

START = RunStart("", "", "", "", "sweep", "", "", "", "{}", "{}")
SPENT = Spent("2026-01-01T00:00:00+00:00", 12.0, 3.0, "node-1")


def ask(number: int, **changes: object) -> Question:
    source = Source("planted-query", "")
    one = Question(number, "m", source, "sweep", (), "", 1, 1, 0, False, "", f"{number:064d}", START, 8, 10, 6.0)
    return replace(one, **changes)  # type: ignore[arg-type]


@pytest.fixture
def folder(home: Path) -> CampaignFolder:
    """Of four questions one is done, one failed, one begun and one waiting, with texts from outside."""
    found = CampaignFolder(home, "night-0123456789ab")
    questions = (ask(1), ask(2, model=HOSTILE, source=Source(HOSTILE, "")), ask(3), ask(4, predicted_s=None))
    found.write_plan(Plan(SCHEMA, found.campaign_id, "night", SPENT.started_at, 1, questions, ((1, 2), (3, 4))))
    found.write_ending(questions[0].key, Ending("done", text="{}"), SPENT)
    found.write_ending(questions[1].key, Ending("failed", "process_died", HOSTILE), SPENT)
    found.note_attempt(questions[2].key)
    return found


def read(test: AppTest) -> str:
    return "\n".join(str(one.value) for one in (*test.markdown, *test.info, *test.error, *test.success, *test.title))


def test_a_fresh_installation_shows_the_recorded_example_and_the_command(home: Path) -> None:
    test = open_page("campaigns")
    assert not test.exception
    status = read_recorded_campaign().status
    assert "No campaign was planned here" in test.info[0].value
    assert (
        f"{status.n_answered} questions of {len(status.lines)} ended, {status.n_answered - len(status.failures)} with a result"
        in read(test)
    )
    assert len(test.dataframe[0].value) == len(status.costs)
    assert not [one for one in test.button if "Cancel" in one.label]


def test_progress_cost_and_failures_of_a_campaign_are_shown_and_nothing_of_a_text_is_interpreted(
    folder: CampaignFolder,
) -> None:
    test = open_page("campaigns")
    assert not test.exception
    words = read(test)
    assert "2 questions of 4 ended, 1 with a result." in words
    assert "1 question failed." in words
    assert "Spent: 24 s of worker time" in words
    assert "not predicted" in words, "the rest has a question without a prediction"
    assert HOSTILE not in words
    costs = test.dataframe[0].value
    assert list(costs["spent ÷ predicted"]) == ["2.0 ×", "2.0 ×"]
    failures = next(one.value for one in test.dataframe if "reason" in one.value.columns)
    assert list(failures["reason"]) == ["process_died"]


def test_the_picture_has_a_bar_for_each_state_and_the_word_in_it(folder: CampaignFolder) -> None:
    status = read_status(folder.home, folder.campaign_id)
    figure = draw_states(status)
    assert {bar.name: sum(bar.x) for bar in figure.data} == {"done": 1, "begun": 1, "waiting": 1, "failed": 1}
    assert all(bar.name in "".join(bar.text) for bar in figure.data)
    assert len(name_row("x" * 200, "sweep")) < 40
    assert status.counts[QuestionState.BEGUN] == 1


def test_a_running_campaign_is_cancelled_by_a_request_that_its_process_sees(folder: CampaignFolder) -> None:
    with folder.hold():
        test = open_page("campaigns")
        assert "Running now." in read(test)
        next(one for one in test.button if one.label == "Cancel this campaign").click().run()
        assert not test.exception
        assert folder.is_stopping()
        assert "stops at its next step" in read(test)
    assert "Cancelled." in read(open_page("campaigns"))


SMALL = """name = "small"
models = ["planted-strict"]
prompts = ["planted-query"]
threads = 1
[[audits]]
name = "sweep"
answers = { kind = "mlp", replacement = "zero" }
"""


def test_a_campaign_is_planned_and_started_from_the_page_in_the_name_of_its_user(
    home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_planted("planted-strict")
    monkeypatch.setattr("audit_core.campaigns.question.open_subject", lambda name, **how: subject)

    def run_here(action: str, given: str, folder: Path, actor: Actor) -> Any:
        """The process's own function, in this one."""
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            code = run_process(action, folder, given, actor)
        (folder / FILES / f"{Path(given).stem}.log").write_text(output.getvalue())
        return SimpleNamespace(poll=lambda: code, returncode=code, wait=lambda: code)

    monkeypatch.setattr("ui.campaigns.act.start_process", run_here)
    test = AppTest.from_file(str(ROOT / "pages/campaigns.py"), default_timeout=60)
    test.session_state["campaign-tabs"] = "Run one"
    test.run()
    test.text_area(key="campaign-text").set_value(SMALL.replace("planted-query", "/etc/passwd")).run()
    test.button(key="plan-campaign").click().run()
    assert "/etc/passwd" in read(test).replace("\\", "")
    assert not list_campaigns(home), "a file of the server is not read"
    test.text_area(key="campaign-text").set_value(SMALL).run()
    test.button(key="plan-campaign").click().run()
    wait_for(test, lambda t: any(b.key == "start-campaign" for b in t.button))
    (campaign,) = list_campaigns(home)
    assert "predicted" in test.button(key="start-campaign").label
    test.button(key="start-campaign").click().run()
    assert not test.exception
    assert "1 question of 1 ended, 1 with a result." in read(test)
    actors = {one["actor"] for one in RunLog(home).export() if one["kind"] == "sweep"}
    assert actors == {services.person().id}, "the log names the user of the page"
    assert read_status(home, campaign).counts[QuestionState.DONE] == 1


@pytest.mark.parametrize(
    "old, new, found",
    [
        ("planted-query", "../rows.csv", "prompt set"),
        ("planted-query", "planted-../../rows", "prompt set"),
        ("planted-strict", "someone/model", "model"),
        ("planted-strict", "/tmp", "model"),
        ("threads = 1", "threads = 200", "threads"),
        ("sweep", "rm -rf", "audit"),
        ('name = "small"', 'name = "../x"', "name"),
        ("[[audits]]", "[[", "TOML"),
        ("mlp", "m" * 300_000, "larger"),
    ],
)
def test_a_sent_campaign_names_what_the_menus_offer_and_nothing_else(old: str, new: str, found: str) -> None:
    check_sent(SMALL.encode())
    with pytest.raises(Refused, match=found):
        check_sent(SMALL.replace(old, new).encode())


def test_the_real_process_ends_with_a_refusal_that_the_page_can_show(home: Path) -> None:
    process = start_process("run", "none-000000000000", home, Actor("anna", "page"))
    assert process.wait(60) == 2
    assert read_output("none-000000000000", home).startswith("No campaign 'none-000000000000'")


def test_a_second_campaign_is_refused_beside_a_running_one(
    folder: CampaignFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr("ui.campaigns.act.start_process", lambda *asked: started.append(asked))
    with folder.hold(), pytest.raises(Refused, match="runs"):
        act.start_campaign(folder.path.name)
    assert not started


def test_a_folder_that_is_damaged_is_an_error_and_no_empty_page(folder: CampaignFolder) -> None:
    (folder.path / "plan.json").write_text("{}")
    test = open_page("campaigns")
    assert not test.exception
    assert "cannot be read" in read(test)
