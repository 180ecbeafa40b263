"""Calibration: the same rule on planted claims, counted; and what is quoted of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit_core import calibration_report
from audit_core.calibration import (
    COMBINED,
    PROMPTS,
    TEMPLATES,
    Sample,
    draw_sample,
    judge_samples,
    measure_population,
    wilson,
)
from audit_core.calibration_report import (
    load_calibration,
    quote_calibration,
    save_calibration,
    summarise,
    write_markdown,
)
from audit_core.errors import NotMeasured
from audit_core.ledger import read_ledger
from audit_core.prompts import tokenise
from audit_core.subjects.planted import find_planted
from audit_core.verdict import RULE_VERSION

Load = Callable[[str], Any]


def sample(planted: str, expected: str, found: str, covered: bool | None = None, **rules: str) -> Sample:
    states = {COMBINED: found} | {rule: rules.get(rule, found) for rule in ("resample", "mean", "zero")}
    return Sample("m", "L0.H0", "t", "necessary", planted, expected, 0, states, None, covered)


SAMPLES = (
    *[sample("decoy", "negligible", "negligible", True)] * 9,
    sample("decoy", "negligible", "supported", False),
    *[sample("cause", "supported", "supported")] * 4,
    *[sample("negative", "reversed", "reversed", True)] * 3,
    *[replace(sample("gate", "inconclusive", "inconclusive", zero="supported"), components="L0.H1")] * 5,
)


def test_shares_are_counted_by_hand() -> None:
    """21 of 22 right; one decoy of ten called supported; 12 of 13 intervals hold; zero alone is fooled by the gate."""
    found = summarise(SAMPLES)
    assert found.right[COMBINED].value == pytest.approx(21 / 22)
    assert found.right["zero"].value == pytest.approx(16 / 22)
    assert found.decoys_supported.value == pytest.approx(0.1)
    assert found.causes_supported.value == found.negatives_reversed.value == 1
    assert found.covered.value == pytest.approx(12 / 13)
    assert found.confusion[COMBINED]["decoy"] == {"negligible": 9, "supported": 1}
    assert [(f.rule, f.planted, f.found) for f in found.fooled] == [("zero", "gate", "supported")]


def test_a_share_has_wilsons_interval() -> None:
    """9 of 10: (0.9 + 0.192 ± 1.96 √(0.009 + 0.0096)) / 1.384 = [0.596, 0.982]."""
    found = wilson(9, 10)
    assert (found.low, found.high) == (pytest.approx(0.596, abs=1e-3), pytest.approx(0.982, abs=1e-3))
    with pytest.raises(NotMeasured):
        wilson(0, 0)


def test_a_record_is_quoted_until_the_rule_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_report, "RECORD", tmp_path / "calibration.json")
    monkeypatch.setattr(calibration_report, "PAGE", tmp_path / "calibration.md")
    assert "not measured for this version" in quote_calibration()
    found = summarise(SAMPLES)
    save_calibration(found)
    assert load_calibration() == found
    assert "95.5 %" in quote_calibration()
    assert "of 22" in quote_calibration()
    assert (tmp_path / "calibration.md").read_text() == write_markdown(found)
    save_calibration(replace(found, rule_version=RULE_VERSION + 1))
    assert load_calibration() is None


@pytest.mark.parametrize("planted", ["decoy", "backed up", "negative"])
def test_samples_of_a_planted_claim_are_judged_as_the_wiring_says(planted: str, load_planted: Load) -> None:
    model, subject = find_planted("planted-induction"), load_planted("planted-induction")
    assert model is not None
    claim = next(c for c in model.claims if c.planted == planted and c.task == "query")
    found = list(judge_samples(subject, model, claim, seed=0, samples=3))
    assert [s.found[COMBINED] for s in found] == [claim.expected.value] * 3
    assert {s.planted for s in found} == {planted}


def test_a_sample_draws_templates_with_replacement_and_keeps_rows_together(load_planted: Load) -> None:
    model, subject = find_planted("planted-induction"), load_planted("planted-induction")
    assert model is not None
    prompts = tokenise(model.find_task("query").make(8, 0), subject.tokenizer)
    trial = measure_population(subject, model.claims[-1], prompts, seed=0)
    drawn = draw_sample(trial, np.random.default_rng(0))
    assert len(drawn.clean) == TEMPLATES * PROMPTS == len(drawn.clusters)
    assert len(set(drawn.clusters)) == TEMPLATES
    rows = {(a, b) for a, b in zip(trial.clean.tolist(), trial.corrupted.tolist())}
    assert set(zip(drawn.clean.tolist(), drawn.corrupted.tolist())) <= rows


def test_the_ledger_counts_what_was_looked_at_on_this_model_alone() -> None:
    claim = {"claim": {"components": ["L1.H0"], "metric": "logit_difference"}}
    records = [
        {"model_digest": "m", "prompts_sha256": "a", "request": claim, "result": {"families": {"resample": 1, "zero": 2}}},
        {"model_digest": "m", "prompts_sha256": "a", "request": claim, "result": None},
        {"model_digest": "m", "prompts_sha256": "b", "request": {"replacement": "mean", "metric": "kl"},
         "result": {"cells": [{"component": "L0.H0"}, {"component": "L1.H0"}]}},
        {"model_digest": "other", "prompts_sha256": "c", "request": claim, "result": None},
    ]  # fmt: skip
    found = read_ledger(records, "m")
    assert (found.runs, found.claims, found.components, found.prompt_sets, found.metrics) == (3, 1, 2, 2, 2)
    assert found.replacements == 3
