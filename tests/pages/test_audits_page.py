"""The page of all audits: forms from requests, drawings from results, and an audit that no file of the page names."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from audit_core.registry import list_plugins, search_also
from audit_core.request_form import explain_unasked
from audit_core.store import note_opened
from tests.pages.test_dead_hook_on_the_page import wait_for

ROOT = Path(__file__).resolve().parents[2]
LINK = {"model": "planted-induction", "set": "planted-query", "scope": "exploratory"}
AUDIT = "planted_gap"


@pytest.fixture
def planted(home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    subject = load_planted("planted-induction")
    monkeypatch.setattr("ui.flow.model_pool.open_subject", lambda name, on_progress: subject)
    note_opened(home, "planted-induction")


@pytest.fixture
def planted_audit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("audits")
    shutil.copy(ROOT / "tests/toy/planted_audit.py", folder / f"{AUDIT}.py")
    with search_also("audits", folder):
        yield AUDIT


def open_audits(**more: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "pages/audits.py"), default_timeout=60)
    for key, value in (LINK | more).items():
        test.query_params[key] = value
    test.run()
    wait_for(test, lambda t: any(box.key == "audit" for box in t.selectbox) or bool(t.exception))
    assert not test.exception
    return test


def run(test: AppTest, audit: str) -> None:
    test.button(key=f"start-job-{audit}").click().run()
    wait_for(test, lambda t: any("Every estimate" in box.label for box in t.expander) or bool(t.exception))
    assert not test.exception


def badges(test: AppTest) -> str:
    return " ".join(text.value for text in test.markdown if "-badge[" in text.value)


def test_a_planted_audit_has_a_form_and_a_drawing_by_its_types_alone(planted: None, planted_audit: str) -> None:
    test = open_audits(audit=planted_audit)
    assert test.selectbox(key="audit").value == planted_audit
    assert test.text_input(key=f"ask-{AUDIT}-components").value == "L0.H0"
    assert test.number_input(key=f"ask-{AUDIT}-times").value == 1
    run(test, planted_audit)
    assert "observational" in badges(test)
    assert "causal" in badges(test)
    assert any("The gap was measured" in text.value for text in test.markdown)


def test_the_list_says_why_an_audit_is_not_asked_here(planted: None) -> None:
    test = open_audits()
    shelf = test.dataframe[0].value
    why = dict(zip(shelf["audit"], shelf["why not"], strict=True))
    assert set(why) == set(list_plugins("audits"))
    assert {name for name, text in why.items() if text} == {
        name for name, audit in list_plugins("audits").items() if explain_unasked(audit.request)
    } | {"experts", "source_tokens", "both_sides"}
    assert why["experts"] == "This model has no accessible expert."
    assert why["source_tokens"] == "This model has no encoder, so it has no source and no cross-attention."
    assert "claim" in why["claim_test"]
    assert "claim_test" not in test.selectbox(key="audit").options


def test_an_answer_that_is_not_valid_is_refused_and_runs_nothing(planted: None) -> None:
    test = open_audits(audit="recomposition")
    test.text_input(key="ask-recomposition-components").set_value("nonsense").run()
    assert not test.exception
    assert "nonsense" in " ".join(error.value for error in test.error)
    assert not [button for button in test.button if button.key.startswith("start-job")]


def test_an_audit_with_a_drawing_of_its_own_is_drawn_by_it(planted: None) -> None:
    test = open_audits(audit="recomposition")
    test.text_input(key="ask-recomposition-components").set_value("L0.H0 L1.H0").run()
    test.button(key="start-job-recomposition").click().run()
    wait_for(test, lambda t: any("Recomposition" in head.value for head in t.subheader) or bool(t.exception))
    assert not test.exception
    files = [button.label for button in test.get("download_button") if button.key.endswith("-recomposition")]
    assert files == ["Effects as Parquet", "Effects as CSV"]
