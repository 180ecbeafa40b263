"""The page of benchmarks: a recorded run on a first visit, and a model at chance without an effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from audit_core.benchmarks import read_recorded
from ui.benchmarks.form import GivenFile
from ui.flow import services

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def open_benchmarks(home: Path) -> Callable[[], AppTest]:
    return lambda: AppTest.from_file(str(ROOT / "pages/benchmarks.py"), default_timeout=60).run()


def read(test: AppTest) -> str:
    return " ".join(text.value for text in (*test.markdown, *test.info, *test.error)).replace("\\", "")


def test_a_first_visit_shows_the_recorded_run_without_loading_a_model(
    open_benchmarks: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    monkeypatch.setattr(services, "open_model", lambda name, **_: loads.append(name))
    test, recorded = open_benchmarks(), read_recorded()
    assert not test.exception
    assert recorded.result.finding in read(test)
    assert f"recorded {recorded.made_at[:10]}" in read(test).replace("\\", "")
    assert loads == []
    for tab, words in (("Items", "right items"), ("File and conditions", recorded.code_sha256)):
        test.session_state["benchmarks-tabs"] = tab
        test.run()
        assert not test.exception, tab
        assert words in read(test), tab


def test_a_model_at_chance_is_shown_with_its_accuracy_and_without_an_effect(
    open_benchmarks: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "The model does not do this benchmark: no item is right. No effect was measured."
    known = read_recorded()
    nothing = replace(
        known.result, finding=why, not_measured=why, reading="not testable", effect=None, excess=None, fraction=None,
        stays_right=None, margin=None, p=None, random_effects=(), random_stays_right=(), controls=None,
    )  # fmt: skip
    monkeypatch.setattr("ui.benchmarks.form.read_recorded", lambda: replace(known, result=nothing))
    test = open_benchmarks()
    assert not test.exception
    assert [info.value.replace("\\", "") for info in test.info] == [why]
    assert "Accuracy: " in read(test)
    assert "Reading" not in read(test)


def test_a_hostile_file_is_refused_on_the_page_before_a_model_is_loaded(
    open_benchmarks: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    from audit_core.benchmarks import read_benchmark

    def ask() -> GivenFile:
        read_benchmark(b"\xff\xfe", name="![](http://example.org/x.png)")
        raise AssertionError

    loads: list[str] = []
    monkeypatch.setattr(services, "open_model", lambda name, **_: loads.append(name))
    monkeypatch.setattr("ui.benchmarks.form.ask_file", ask)
    test = open_benchmarks()
    assert not test.exception
    (error,) = test.error
    assert "not UTF\\-8" in error.value
    assert "![](" not in error.value
    assert [box.value for box in test.text_input if box.label == "Components"] == ["L23.H3"], "the answers stay"
    assert loads == []
