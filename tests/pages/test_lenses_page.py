"""The page Lenses: the recorded answer of the default model, and a planted model measured at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit_core.lenses import LensEffect, LensWriting, count_pairs
from audit_core.recorded import load_recorded
from audit_core.shipped import load_prompt_set
from audit_core.store import note_opened
from tests.pages.test_dead_hook_on_the_page import wait_for
from tests.pages.test_robustness_page import open_page, read


def test_a_first_visit_shows_the_recorded_figures_before_the_model_is_loaded(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.flow.model_question.settle", lambda name: False)
    test = open_page("lenses")
    assert not test.exception
    assert load_recorded("lenses")[0].result.finding in read(test)
    assert "recorded" in read(test)
    assert len(test.get("plotly_chart")) == 2, "what is read and what is measured are two figures"


def test_the_record_is_of_this_version_and_set_and_its_words_follow_its_intervals() -> None:
    record = load_recorded("lenses")[0]
    assert record.is_of("default")
    assert not record.is_of("planted-strict")
    found = record.result
    assert found.prompt_set_sha256 == load_prompt_set("indirect_object").sha256
    assert found.split == "exploratory"
    counts = count_pairs(found.parts)
    assert counts[LensWriting.FOR, LensEffect.LOWERS] > 0
    assert sum(n for (writing, _), n in counts.items() if writing == LensWriting.LITTLE) > 0
    for part in found.parts:
        assert (part.direct.low > found.least_written) == (part.writing == LensWriting.FOR)
        assert (part.measured.low > found.least_effect) == (part.effect == LensEffect.LOWERS)


def test_a_planted_model_is_measured_at_once_and_every_tab_opens(
    home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_planted("planted-strict")
    monkeypatch.setattr("ui.flow.model_pool.open_subject", lambda name, on_progress: subject)
    note_opened(home, "planted-strict")
    test = open_page("lenses", model="planted-strict", set="planted-context")
    wait_for(test, lambda t: bool(t.get("plotly_chart")) or bool(t.exception) or bool(t.error))
    assert not test.exception
    assert not test.error
    assert "1 (L0.H0) writes little to the answer directly" in read(test)
