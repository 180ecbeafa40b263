"""The page Decisions about a tabular model: a recorded result on a first visit, every tab, and what may not be uploaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from audit_core.tabular import ON_INPUT, TUMOURS, find_recorded
from ui.flow import services

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def open_tables(home: Path) -> Callable[[], AppTest]:
    def open_page() -> AppTest:
        test = AppTest.from_file(str(ROOT / "pages/decisions.py"), default_timeout=60)
        test.query_params["decider"] = "Tabular model"
        return test

    return open_page


def read(test: AppTest) -> str:
    return " ".join(text.value for text in (*test.markdown, *test.warning, *test.error)).replace("\\", "")


def test_a_first_visit_shows_the_recorded_effect_and_what_it_is_an_effect_on_without_loading_a_model(
    open_tables: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    monkeypatch.setattr(services, "open_model", lambda name, **_: loads.append(name))
    test, recorded = open_tables().run(), find_recorded(TUMOURS)
    assert recorded is not None
    assert not test.exception
    assert recorded.result.finding in read(test)
    assert ON_INPUT in read(test)
    assert "logistic regression" in read(test)
    assert loads == []
    tabs = (
        ("Rows", "Counterfactuals"), ("Curves", "may be impossible"), ("Permutation", "same information"),
        ("Surrogates", "not the model"), ("Readable models", "fitted here"),
        ("Remove and retrain", "not what the audited model uses"), ("Fairness", "No feature is marked as protected"),
    )  # fmt: skip
    for tab, words in tabs:
        test.session_state["tabular-tabs"] = tab
        test.run()
        assert not test.exception, tab
        heads = " ".join(one.value for one in test.subheader)
        assert words in read(test) + heads, tab
    # What that tab asks for is no change without effect: the recorded answer is not that of these marks.
    test.text_area(key="tabular-marks").set_value("mean radius, protected").run()
    assert not test.exception
    assert recorded.result.finding not in read(test)


def test_the_page_still_opens_on_a_language_model(open_tables: Callable[[], AppTest]) -> None:
    test = open_tables()
    test.query_params.clear()
    test.run()
    assert not test.exception
    assert "through region" in read(test) or "Through" in read(test)


def test_a_link_loads_no_model_that_was_not_pressed(
    open_tables: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    monkeypatch.setattr(services, "open_model", lambda name, **_: loads.append(name))
    test = open_tables()
    test.query_params["table"] = "onnx-" + "0" * 64
    test.run()
    assert not test.exception
    assert loads == []
    assert "without your confirmation" in read(test)
