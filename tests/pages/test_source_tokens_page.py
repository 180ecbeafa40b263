"""The page of source tokens: what is consulted beside what is relied on, and a model that has no source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from audit_core.store import note_opened
from tests.pages.test_dead_hook_on_the_page import wait_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def open_source(
    home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., AppTest]:
    def opened(model: str, prompts: str, **more: str) -> AppTest:
        subject = load_planted(model)
        monkeypatch.setattr("ui.flow.model_pool.open_subject", lambda name, on_progress: subject)
        note_opened(home, model)
        test = AppTest.from_file(str(ROOT / "pages/source_tokens.py"), default_timeout=60)
        for key, value in ({"model": model, "set": prompts, "scope": "exploratory"} | more).items():
            test.query_params[key] = value
        test.run()
        wait_for(test, lambda t: bool(t.info) or "The decoder gives" in read(t) or bool(t.exception))
        assert not test.exception
        return test

    return opened


def read(test: AppTest) -> str:
    return " ".join(text.value for text in test.markdown).replace("\\", "")


def open_tab(test: AppTest, tab: str) -> str:
    test.session_state["source-tabs"] = tab
    test.run()
    assert not test.exception, tab
    return read(test)


def test_the_most_consulted_token_is_shown_as_negligible_and_the_changed_one_as_relied_on(
    open_source: Callable[..., AppTest],
) -> None:
    test = open_source("planted-encoder-decoder", "planted-source-lookup")
    assert "costs less than 0.1" in read(test)
    assert "relies on it" not in read(test)
    assert "State: **negligible**" in open_tab(test, "Judged token")
    test.selectbox(key="token").set_value("changed").run()
    wait_for(test, lambda t: "relies on it" in read(t))
    said = read(test)
    assert "State: **supported**" in said
    assert "199 draws of one other token of each source" in said
    assert dict(test.query_params)["token"] in ("changed", ["changed"])


def test_the_heads_are_measured_when_they_are_asked_for(open_source: Callable[..., AppTest]) -> None:
    test = open_source("planted-encoder-decoder", "planted-source-lookup")
    open_tab(test, "Heads on both sides")
    test.button(key="start-job-both_sides").click().run()
    wait_for(test, lambda t: len(t.dataframe) > 0)
    assert "supported: 2 of 24: **L0.EH1, L0.XH1**" in read(test)
    rows = test.dataframe[0].value
    assert set(rows["side"]) == {"encoder", "decoder", "cross-attention"}
    readings = dict(zip(rows["head"], rows["reading"], strict=True))
    assert {name: readings[name] for name in ("L0.EH1", "L0.EH0")} == {"L0.EH1": "supported", "L0.EH0": "negligible"}


def test_a_decoder_only_model_has_a_reason_and_a_way_to_an_encoder_decoder(open_source: Callable[..., AppTest]) -> None:
    test = open_source("planted-induction", "planted-query")
    assert "no source and no cross-attention" in test.info[0].value
    assert any("Open an encoder–decoder" in button.label for button in test.button)
