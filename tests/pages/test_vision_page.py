"""The page Vision: a recorded result on a first visit, every tab, the control model, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from audit_core.vision import MARKED, PLAIN, find_recorded
from ui.flow import services

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def open_vision(home: Path) -> Callable[[], AppTest]:
    return lambda: AppTest.from_file(str(ROOT / "pages/vision.py"), default_timeout=60)


def read(test: AppTest) -> str:
    return " ".join(text.value for text in (*test.markdown, *test.warning, *test.error)).replace("\\", "")


def test_a_first_visit_shows_verdict_and_map_apart_without_loading_a_model(
    open_vision: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    monkeypatch.setattr(services, "open_model", lambda name, **_: loads.append(name))
    test, recorded = open_vision().run(), find_recorded(MARKED)
    assert recorded is not None
    assert not test.exception
    texts = [one.value.replace("\\", "") for one in test.markdown]
    verdict, picture = (
        next(text for text in texts if words in text) for words in ("Supported: the model", "Grad-CAM puts")
    )
    assert recorded.result.finding in verdict
    assert "Grad-CAM" not in verdict
    assert "relies" not in picture
    assert "3.4% [" in picture, "a share has its interval"
    assert loads == []
    tabs = (
        ("Maps", "assumes"), ("Shuffled weights", "and not the model"), ("Other places", "p = 0.022"),
        ("With and without the marker", "The verdicts differ"), ("Region and conditions", "Controls passed"), ("Concepts", "TCAV"),
    )  # fmt: skip
    for tab, words in tabs:
        test.session_state["vision-tabs"] = tab
        test.run()
        assert not test.exception, tab
        assert words in read(test), tab


def test_the_control_model_is_not_said_to_rely_on_the_region(open_vision: Callable[[], AppTest]) -> None:
    test = open_vision()
    test.query_params["network"] = PLAIN
    test.run()
    assert not test.exception
    assert "Not supported: the model does not rely on the region" in read(test)


def test_a_link_loads_no_folder_without_a_press(
    open_vision: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    monkeypatch.setattr(services, "open_model", lambda name, **_: loads.append(name))
    test = open_vision()
    test.query_params["network"] = "./somewhere"
    test.run()
    assert not test.exception
    assert loads == []
    assert "without your confirmation" in read(test)
