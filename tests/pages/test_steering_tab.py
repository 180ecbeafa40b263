"""The tab Steering of the page Features: the recorded answer, an own file, and a planted model without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from toy.steering import ask_votes

from audit_core import open_subject
from audit_core.recorded import load_recorded
from audit_core.registry import get_plugin
from audit_core.steering import Method
from tests.pages.test_robustness_page import read
from ui.steering.show import make_rows

ROOT = Path(__file__).resolve().parents[2]


def open_tab(model: str = "default") -> AppTest:
    test = AppTest.from_file(str(ROOT / "pages/features.py"), default_timeout=60)
    test.query_params["model"] = model
    test.session_state["features-tabs"] = "Steering"
    return test.run()


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.flow.model_question.settle", lambda name: False)


def test_the_recorded_table_is_shown_before_the_model_is_loaded_with_its_rule(home: Path, unloaded: None) -> None:
    test = open_tab()
    assert not test.exception
    record, shown = load_recorded("steering")[0], read(test)
    assert record.result.finding in shown
    assert "Better than the baselines" in shown
    assert record.result.rules[0].rule in shown
    assert len(test.get("plotly_chart")) == 6, "label and effect of features, and four of steering"
    tables = [frame.value for frame in test.dataframe if "off-target divergence, nats" in frame.value]
    assert len(tables) == 1
    assert {name.split(",")[0] for name in tables[0]["method"]} == {method.value for method in Method}
    last = record.result.rules[-1].concept
    test.selectbox(key="steering-concept").set_value(last).run()
    assert record.result.rules[-1].rule in read(test)
    assert not test.exception


def test_a_planted_model_is_offered_no_words_that_it_lacks(home: Path, unloaded: None) -> None:
    test = open_tab("planted-strict")
    assert not test.exception
    assert "Give a file in this model's words" in " ".join(one.value for one in test.info)


def test_a_result_of_another_model_is_drawn_by_the_form_of_all_audits(home: Path) -> None:
    def draw(result) -> None:  # type: ignore[no-untyped-def]
        from ui.results import show_result

        show_result("steering", result)

    subject = open_subject("planted-strict")
    request = ask_votes(subject, prompts=6, draws="1")
    result = get_plugin("audits", "steering").run(subject, request, means=None, on_progress=lambda done, total: None)
    test = AppTest.from_function(draw, args=(result,), default_timeout=60).run()
    assert not test.exception
    assert result.finding in read(test)
    rows = make_rows(result.rows)
    assert next(iter(rows["method"])) == "unedited"
