"""The page of rationales: metrics with their error first, a recorded run, and the banner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from audit_core.rationale import Verdict
from audit_core.rationale_record import load_recorded_rationale
from ui.flow import services

ROOT = Path(__file__).resolve().parents[2]
TABS = ("Steps", "Templates", "Edits", "Hints", "Metrics", "Planted models", "Conditions")


@pytest.fixture
def open_rationale(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], AppTest]:
    loads: list[str] = []
    monkeypatch.setattr(services, "open_model", lambda name, **_: loads.append(name))
    return lambda: AppTest.from_file(str(ROOT / "pages/rationale.py"), default_timeout=60).run()


def read(test: AppTest) -> str:
    return " ".join(text.value for text in (*test.markdown, *test.info, *test.error)).replace("\\", "")


def test_a_first_visit_shows_the_metrics_error_before_the_recorded_run(open_rationale: Callable[[], AppTest]) -> None:
    test, recorded = open_rationale(), load_recorded_rationale()
    assert not test.exception
    assert recorded.result.finding in read(test)
    assert f"recorded {recorded.measured_with.recorded_at[:10]}" in read(test)
    headers = [header.value for header in test.header]
    assert headers.index("Metrics compared") < headers.index("Questions by pattern")
    for tab in TABS:
        test.session_state["rationale-tabs"] = tab
        test.run()
        assert not test.exception, tab


def test_the_banner_says_that_a_rationale_is_no_evidence_unless_the_answers_depend_on_it(
    open_rationale: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "not evidence of how the model came to its answer" in read(open_rationale())
    known = load_recorded_rationale()
    depends = replace(known, result=replace(known.result, verdict=Verdict.DEPENDS.value))
    monkeypatch.setattr("ui.rationale.form.load_recorded_rationale", lambda: depends)
    assert "the answers depend on its steps" in read(open_rationale())
