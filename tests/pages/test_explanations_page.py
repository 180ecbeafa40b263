"""The page Explanations: the recorded answer of the default model, and of no other prompt than its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from audit_core.recorded import load_recorded
from audit_core.shipped import load_prompt_set
from tests.pages.test_robustness_page import open_page, read


def test_a_first_visit_shows_the_recorded_figures_before_the_model_is_loaded(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.flow.model_question.settle", lambda name: False)
    test = open_page("explanations")
    assert not test.exception
    assert load_recorded("explanations")[0].result.finding in read(test)
    assert "recorded" in read(test)
    assert len(test.get("plotly_chart")) == 2, "what methods say and what is measured are two figures"
    other = open_page("explanations", prompt="io-0002")
    assert not other.get("plotly_chart"), "the record is of another prompt"


def test_a_record_of_one_prompt_answers_for_no_other_of_its_set() -> None:
    """One prompt has the digest of its set, and often the same reference prompts."""
    (record,) = load_recorded("explanations")
    assert record.is_of("default")
    assert record.prompts_sha256 == load_prompt_set("indirect_object").sha256
    assert record.wall_s > 1, "a result that was read from the log is recorded with the time of its run"
    weights = record.measured_with.identity["weights_sha256"]

    def ask(*ids: str) -> Any:
        pairs = tuple(SimpleNamespace(prompt=SimpleNamespace(id=one)) for one in ids)
        return SimpleNamespace(
            prompts=SimpleNamespace(sha256=record.prompts_sha256, pairs=pairs), describe=lambda: record.asked
        )

    assert record.answers(ask("io-0001"), weights)
    assert not record.answers(ask("io-0002"), weights)
    assert not record.answers(ask("io-0001", "io-0002"), weights)
    assert replace(record, prompt_ids=()).answers(ask("io-0002"), weights), "older records are of whole splits"
