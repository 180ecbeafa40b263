"""The page Probes: the recorded answer of the default model, and a planted model measured at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit_core.probes import DELTA, ProbeVerdict, read_shipped
from audit_core.recorded import load_recorded
from audit_core.store import note_opened
from tests.pages.test_dead_hook_on_the_page import wait_for
from tests.pages.test_robustness_page import open_page, read


def test_a_first_visit_shows_the_recorded_verdicts_before_the_model_is_loaded(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.flow.model_question.settle", lambda name: False)
    test = open_page("probes")
    assert not test.exception
    assert load_recorded("probes")[0].result.finding in read(test)
    assert "recorded" in read(test)
    assert len(test.get("plotly_chart")) == 2, "decodability and use are two figures"


def test_the_record_is_of_this_version_and_of_the_shipped_file_and_shows_both_verdicts() -> None:
    record = load_recorded("probes")[0]
    assert record.is_of("default")
    assert not record.is_of("planted-strict")
    assert record.result.source.sha256 == hashlib.sha256(read_shipped()).hexdigest()
    sites = record.result.sites
    assert {ProbeVerdict.USED, ProbeVerdict.UNUSED} <= {site.verdict for site in sites}
    for site in sites:
        if site.verdict == ProbeVerdict.USED:
            assert min(site.erased.low, site.swapped.low) > DELTA
            assert site.erased.value > site.erased_random


def test_a_planted_model_is_measured_at_once_and_every_table_opens(
    home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_planted("planted-strict")
    monkeypatch.setattr("ui.flow.model_pool.open_subject", lambda name, on_progress: subject)
    note_opened(home, "planted-strict")
    test = open_page("probes", model="planted-strict", layers="1")
    wait_for(test, lambda t: bool(t.get("plotly_chart")) or bool(t.exception) or bool(t.error))
    assert not test.exception
    assert not test.error
    assert "A / B: decodable and used at 1" in read(test)
