"""The page Decisions: a recorded result on a first visit, every tab, and a model that does not do the task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from audit_core.decisions import DESCRIBES, DRAFT, PLANTED, SLOTS, find_recorded
from ui.flow import services

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def open_decisions(home: Path) -> Callable[[], AppTest]:
    return lambda: AppTest.from_file(str(ROOT / "pages/decisions.py"), default_timeout=60)


def read(test: AppTest) -> str:
    return " ".join(text.value for text in (*test.markdown, *test.warning, *test.error)).replace("\\", "")


def test_a_first_visit_shows_the_recorded_proxy_without_loading_a_model(
    open_decisions: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    monkeypatch.setattr(services, "open_model", lambda name, **_: loads.append(name))
    test, recorded = open_decisions().run(), find_recorded(PLANTED)
    assert recorded is not None
    assert not test.exception
    assert recorded.result.finding in read(test)
    assert "Shapley values" in read(test)
    assert loads == []
    for tab, words in (
        ("Fairness", "Mediation"),
        ("Applicants", DRAFT),
        ("Levels", "Dots"),
        ("Surrogates", DESCRIBES),
        ("Concepts", "like random sets"),
    ):
        test.session_state["decisions-tabs"] = tab
        test.run()
        assert not test.exception, tab
        assert words in read(test), tab
    # Other slots with the shipped file are another question, and a phrase that no notice may use is refused at once.
    income = "income = low < middle < high, may rise"
    for phrase, words in (
        ("income too low for the amount", ""),
        ("below our minimum score", "without: internal standard"),
    ):
        test.text_area(key="decisions-slots").set_value(SLOTS.replace(income, f"{income}, reason: {phrase}")).run()
        assert not test.exception
        assert recorded.result.finding not in read(test)
        assert words in read(test)


def test_impossible_combinations_are_warned_of(open_decisions: Callable[[], AppTest]) -> None:
    test = open_decisions().run()
    test.session_state["decisions-tabs"] = "Levels"
    test.session_state["curve-slot"] = "tenure"
    test.run()
    assert "no applicant has together" in read(test)


def test_the_default_model_is_shown_as_not_doing_the_task(open_decisions: Callable[[], AppTest]) -> None:
    test = open_decisions()
    test.query_params["model"] = "default"
    test.run()
    assert not test.exception
    assert "The model does not do this task" in read(test)
    assert "What changing it does" not in " ".join(head.value for head in test.header)
