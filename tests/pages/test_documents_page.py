"""The page Documents: the recorded answer of the default model, and a planted reader measured at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from audit_core.documents import read_shipped
from audit_core.recorded import load_recorded
from audit_core.store import note_opened
from tests.pages.test_dead_hook_on_the_page import wait_for
from tests.pages.test_robustness_page import open_page, read
from ui.flow import answers


def test_a_first_visit_shows_the_recorded_labels_before_the_model_is_loaded(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.flow.model_question.settle", lambda name: False)
    test = open_page("documents")
    assert not test.exception
    record = load_recorded("documents")[0]
    assert record.result.finding in read(test)
    assert "recorded" in read(test)
    assert len(test.get("plotly_chart")) == 2


def test_the_record_is_of_this_version_and_of_the_shipped_file() -> None:
    """A stale record would silently leave the first screen empty."""
    import hashlib

    record = load_recorded("documents")[0]
    assert record.is_of("default")
    assert not record.is_of("planted-induction")
    assert not replace(record, model_file_sha256="0" * 64).is_of("default")
    assert not replace(record, version=record.version + 2).is_of("default")
    assert record.result.source.sha256 == hashlib.sha256(read_shipped()).hexdigest()
    assert record.result.n >= 120
    assert len(record.result.labels) >= 5


def test_a_record_answers_its_own_request_of_its_own_weights_alone() -> None:
    record = load_recorded("documents")[0]
    weights = record.measured_with.identity["weights_sha256"]

    def ask(prompts: str = record.prompts_sha256, ids: tuple[str, ...] = record.prompt_ids, **changes: Any) -> Any:
        return SimpleNamespace(describe=lambda: record.asked | changes, prompts=make_prompts(prompts, ids))

    assert record.answers(ask(), weights)
    assert not record.answers(ask(ids=record.prompt_ids[1:]), weights)
    assert not record.answers(ask("0" * 64), weights)
    assert not record.answers(ask(edits=16), weights)
    old = replace(record, asked={k: v for k, v in record.asked.items() if k != "by_sentence"})
    assert old.answers(FileRequest(0), weights), "a field that the record's version lacks had its default of today"
    assert not old.answers(FileRequest(3), weights)
    assert not record.answers(ask(), "0" * 64)


def make_prompts(sha256: str, ids: tuple[str, ...]) -> Any:
    return SimpleNamespace(sha256=sha256, pairs=[SimpleNamespace(prompt=SimpleNamespace(id=one)) for one in ids])


@dataclass(frozen=True)
class FileRequest:
    """The request of the record, with the field of a later version."""

    by_sentence: int = 0

    @property
    def prompts(self) -> Any:
        record = load_recorded("documents")[0]
        return make_prompts(record.prompts_sha256, record.prompt_ids)

    def describe(self) -> dict[str, Any]:
        return load_recorded("documents")[0].asked | {"by_sentence": self.by_sentence}


def test_a_planted_reader_is_measured_at_once_and_the_selected_question_is_shown(
    home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_planted("planted-reader-wrong-document")
    monkeypatch.setattr("ui.flow.model_pool.open_subject", lambda name, on_progress: subject)
    note_opened(home, "planted-reader-wrong-document")
    test: AppTest = open_page("documents", model="planted-reader-wrong-document", items="10")
    wait_for(test, lambda t: bool(t.get("plotly_chart")) or bool(t.exception) or bool(t.error))
    assert not test.exception
    assert not test.error
    assert "wrong source 10" in read(test)
    before = read(test)
    box = next(box for box in test.selectbox if box.key == "asked")
    box.set_value(box.options[-1].split(":")[0]).run()
    assert not test.exception
    assert read(test) != before


def test_a_long_audit_offers_a_first_look_that_is_marked_exploratory(
    home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_planted("planted-reader-wrong-document")
    monkeypatch.setattr("ui.flow.model_pool.open_subject", lambda name, on_progress: subject)
    monkeypatch.setattr("ui.flow.answers.predict", lambda auditor, audit, request: 11.0 * len(request.prompts))
    real = answers.answer_by_job

    def start_few(*asked: Any, **options: Any) -> Any:
        return real(*asked, **options) if len(asked[3].prompts) <= 12 else None

    monkeypatch.setattr("ui.flow.answers.answer_by_job", start_few)
    note_opened(home, "planted-reader-wrong-document")
    test: AppTest = open_page("documents", model="planted-reader-wrong-document", items="40")
    wait_for(test, lambda t: any(one.key == "quick" for one in t.button) or bool(t.exception) or bool(t.error))
    quick = test.button(key="quick")
    assert quick.label.startswith("First look at 5 questions, exploratory"), "8 would take over a minute"
    quick.click().run()
    wait_for(test, lambda t: bool(t.get("plotly_chart")) or bool(t.exception) or bool(t.error))
    assert not test.exception
    assert test.text_input(key="items").value == "5"
    assert "exploratory: n = 5" in read(test)
    test.button(key="all-questions").click().run()
    assert test.text_input(key="items").value == "500"


def test_sentences_are_measured_on_demand_and_marked_in_the_text(
    home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_planted("planted-reader-grounded")
    monkeypatch.setattr("ui.flow.model_pool.open_subject", lambda name, on_progress: subject)
    note_opened(home, "planted-reader-grounded")
    test: AppTest = open_page("documents", model="planted-reader-grounded", task="reader-sentences", items="2")
    wait_for(test, lambda t: bool(t.get("plotly_chart")) or bool(t.exception) or bool(t.error))
    test.session_state["documents-tabs"] = "One row a document"
    test.run()
    assert "in place of [1] or [2] or [3], it changes the answer" in read(test)
    test.session_state["documents-tabs"] = "Sentences"
    test.run()
    button = test.button(key="start-job-documents-sentences")
    assert button.label.startswith("Measure the sentences of")
    assert "violet-background" not in read(test)
    button.click().run()
    wait_for(test, lambda t: "violet-background" in read(t) or bool(t.exception) or bool(t.error))
    assert not test.exception
    shown = read(test)
    assert shown.count("violet-background[k") == 1, "one sentence of six raises the lead"
    assert "orange-background" not in shown
    assert "It ranks 21 other sets with **1.00 [1.00, 1.00] Spearman" in shown
