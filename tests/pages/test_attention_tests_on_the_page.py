"""The attention tests on the page: a job with its button, and separate axes when it has run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit_core.store import note_opened
from tests.pages.test_dead_hook_on_the_page import texts, wait_for
from tests.pages.test_live_audit_page import open_page

LINK = {"model": "planted-strict", "set": "planted-query"}


def test_one_prompt_is_answered_with_why_there_are_no_tests(
    home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_planted("planted-strict")
    monkeypatch.setattr("ui.flow.model_pool.open_subject", lambda name, on_progress: subject)
    note_opened(home, "planted-strict")
    test = open_page(tab="Attention tests", **LINK, scope="one")
    wait_for(test, lambda t: bool(t.info))
    assert any("One prompt has no interval" in text.value for text in test.info)
    assert not [b for b in test.button if b.key == "start-job-attention_tests"]


def test_a_split_of_the_set_is_tested_and_each_figure_says_what_kind_of_evidence_it_is(
    home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_planted("planted-strict")
    monkeypatch.setattr("ui.flow.model_pool.open_subject", lambda name, on_progress: subject)
    note_opened(home, "planted-strict")
    test = open_page(tab="Attention tests", **LINK, scope="exploratory")
    wait_for(test, lambda t: any(b.key == "start-job-attention_tests" for b in t.button))
    test.button(key="start-job-attention_tests").click().run()
    wait_for(test, lambda t: any(h.value == "Attention pattern ablated" for h in t.subheader))
    assert not test.exception
    said = texts(test)
    assert "A head can matter although its pattern does not" in said
    assert "score of neither" in said
    assert "fails weight randomisation by construction" in said.replace("\\", "")
    assert "relies on" not in said
    named = [h.value for h in test.subheader]
    assert "Attention views vs. causal effect" in named
    assert "The same views, weights shuffled from layer 1 up" in named
    tables = {e.label for e in test.expander}
    assert {"Attention pattern ablated as a table", "Attention views vs. causal effect as a table"} <= tables
