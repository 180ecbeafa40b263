"""The pages Robustness and Explanations: a recorded first screen, and one prompt measured at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from audit_core.robustness_record import list_recorded_robustness
from audit_core.store import note_opened
from tests.pages.test_dead_hook_on_the_page import wait_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def not_loading(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page as it is before its model is there, for as long as the test lasts."""
    monkeypatch.setattr("ui.flow.model_question.settle", lambda name: False)


def open_page(name: str, **query: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / f"pages/{name}.py"), default_timeout=60)
    for key, value in query.items():
        test.query_params[key] = value
    return test.run()


def read(test: AppTest) -> str:
    return " ".join(text.value for text in test.markdown).replace("\\", "")


def test_a_first_visit_shows_the_recorded_effects_before_the_model_is_loaded(not_loading: None) -> None:
    test = open_page("robustness")
    assert not test.exception
    shown, record = read(test), list_recorded_robustness()[0]
    assert record.result.finding in shown
    assert "recorded" in shown
    assert len(test.get("plotly_chart")) == 1


@pytest.mark.parametrize("other", [{"c": "L20.H0"}, {"ab": "mean"}, {"role": "sufficient"}, {"set": "induction"}])
def test_no_record_is_shown_for_another_claim(not_loading: None, other: dict[str, str]) -> None:
    test = open_page("robustness", **other)
    assert not test.exception
    assert "perturbations" not in read(test)


def test_the_records_are_of_this_version_and_of_the_shipped_prompts() -> None:
    """A stale record would silently leave the first screen empty."""
    from audit_core import load_prompt_set
    from audit_core.registry import get_plugin

    for record in list_recorded_robustness():
        assert record.prompts_sha256 == load_prompt_set("indirect_object").sha256
        assert get_plugin("audits", "robustness").shows(record.version)
        groups = {row.group for row in record.result.rows[1:] if not row.not_measured}
        added = {"model"} if record.version > 1 else set()
        assert groups == {"paraphrase", "adversarial", "counterfactual", "decoding", "shift"} | added


def test_one_prompt_is_explained_at_once_with_scores_beside_measured_effects(
    home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_planted("planted-induction")
    monkeypatch.setattr("ui.flow.model_pool.open_subject", lambda name, on_progress: subject)
    note_opened(home, "planted-induction")
    test = open_page("explanations", model="planted-induction", set="planted-context")
    wait_for(test, lambda t: bool(t.get("plotly_chart")) or bool(t.exception) or bool(t.error))
    assert not test.exception
    assert not test.error
    assert len(test.get("plotly_chart")) >= 2
    assert "It is no verdict on a claim." in read(test)
    for tab, words in (
        ("Stability", "the shift of the measured effects"),
        ("Policy numbers", "of the change (no interval, n = 1)"),
    ):
        test.session_state["explanations-tabs"] = tab
        test.run()
        assert not test.exception, tab
        assert words in read(test), tab
    assert "One prompt has no interval" in read(test)
