"""Calibration: the same rule on planted claims, counted; and what is quoted of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit_core.calibration import report
from audit_core.calibration.experts import summarise_experts
from audit_core.calibration.report import (
    DECOYS,
    describe_clustered,
    list_shares,
    load_calibration,
    quote_calibration,
    save_calibration,
    summarise,
    write_markdown,
)
from audit_core.calibration.samples import (
    COMBINED,
    PROMPTS,
    TEMPLATES,
    Sample,
    draw_rows,
    judge_samples,
    make_claim,
    measure_population,
    take_sample,
)
from audit_core.calibration.tallies import describe_count
from audit_core.errors import NotMeasured
from audit_core.judging.verdict import RULE_VERSION
from audit_core.ledger import read_ledger
from audit_core.prompts.alignment import tokenise
from audit_core.stats.shares import share_by_cluster, wilson
from audit_core.subjects.planted import find_planted

Load = Callable[[str], Any]


def sample(
    planted: str, found: str, at: int, *, covered: bool | None = None, part: str = "L0.H0", **rules: str
) -> Sample:
    """One sample of a claim on build `at`."""
    states = {COMBINED: found} | {rule: rules.get(rule, found) for rule in ("resample", "mean", "zero")}
    return Sample("m", part, "t", "necessary", planted, "negligible", True, at, states, None, covered)


SAMPLES = (
    *[sample("decoy", "negligible", at, covered=True) for at in range(9)],
    sample("decoy", "supported", 9, covered=False),
    *[sample("cause", "supported", at, part="L1.H0") for at in range(4)],
    # Two samples of one claim, of which one went wrong: the claim is wrong.
    sample("cause", "supported", 4, part="L1.H0"),
    sample("cause", "negligible", 4, part="L1.H0"),
    replace(sample("cause", "inconclusive", 0, part="L1.H4", resample="negligible"), is_in_contrast=False),
    *[sample("negative", "reversed", at, part="L1.H3", covered=True) for at in range(3)],
    *[sample("gate", "inconclusive", at, part="L0.H1", resample="negligible") for at in range(5)],
)


def test_claims_are_counted_by_hand() -> None:
    """11 parts are used (cause, gate): 4 right, 1 wrong, 6 open; of 10 idle ones 9 right, 1 wrong."""
    found = summarise(SAMPLES)
    used, idle = found.tallies[COMBINED]["supported"], found.tallies[COMBINED]["negligible"]
    assert [describe_count(e) for e in (used.right, used.abstained, used.wrong)] == ["4 of 11", "6 of 11", "1 of 11"]
    assert [describe_count(e) for e in (idle.right, idle.abstained, idle.wrong)] == ["9 of 10", "0 of 10", "1 of 10"]
    by_resample = found.tallies["resample"]["supported"]
    assert [describe_count(e) for e in (by_resample.right, by_resample.wrong)] == ["4 of 11", "7 of 11"]
    assert describe_count(found.decoys_supported) == "1 of 10"
    assert describe_count(found.causes_supported) == "4 of 5", "only of causes in the contrast"
    assert describe_count(found.blind_causes_unresolved) == "1 of 1"
    assert found.negatives_reversed.value == 1
    assert found.covered.value == pytest.approx(12 / 13)
    assert (found.n_claims, found.n_samples, found.builds, found.samples_each) == (24, 25, 10, 2)
    assert found.confusion[COMBINED]["decoy"] == {"negligible": 9, "supported": 1}
    assert {(f.rule, f.planted, f.found) for f in found.fooled} == {
        ("resample", "gate", "negligible"),
        ("resample", "cause", "negligible"),
    }


EXPERTS = (
    *[sample("decoy", "negligible", at, covered=True, part="L0.E0") for at in range(3)],
    sample("decoy", "supported", 3, covered=False, part="L0.E0"),
    *[sample("cause", "supported", at, part="L0.E5") for at in range(2)],
    sample("cause", "inconclusive", 2, part="L0.E5"),
    *[sample("redundant", "negligible", at, part="L0.E3") for at in range(2)],
    *[sample("redundant", "supported", at, part="L0.E3 L0.E5") for at in range(2)],
    sample("not routed", "inconclusive", 0, part="L0.E6"),
)


def test_claims_on_experts_are_counted_by_hand_and_quoted_beside_their_verdicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single expert of a pair is no pair; of four decoys one is called supported."""
    found = summarise_experts(EXPERTS)
    assert describe_count(found.decoys_supported) == "1 of 4"
    assert describe_count(found.carriers_supported) == "2 of 3"
    assert describe_count(found.pairs_supported) == "2 of 2"
    assert describe_count(found.unrouted_open) == "1 of 1"
    assert found.covered.value == 3 / 4
    monkeypatch.setattr(report, "RECORD", tmp_path / "calibration.json")
    monkeypatch.setattr(report, "PAGE", tmp_path / "calibration.md")
    save_calibration(summarise(SAMPLES))
    heads_alone = report.RECORD.read_text()
    assert "not measured" in quote_calibration(["L0.E5"])
    save_calibration(summarise(SAMPLES, experts=found))
    assert report.RECORD.read_text().startswith(
        heads_alone.removesuffix('null,\n "ranges": null,\n "by_model": {},\n "others": null\n}\n')
    ), "other rows stay byte for byte"
    assert "2 of 3 claims on used experts supported" in quote_calibration(["L0.E5"])
    assert "## Experts of planted mixtures" in report.PAGE.read_text()


def test_a_share_has_wilsons_interval() -> None:
    """9 of 10: (0.9 + 0.192 ± 1.96 √(0.009 + 0.0096)) / 1.384 = [0.596, 0.982]."""
    found = wilson(9, 10)
    assert (found.low, found.high) == (pytest.approx(0.596, abs=1e-3), pytest.approx(0.982, abs=1e-3))
    with pytest.raises(NotMeasured):
        wilson(0, 0)


def test_alike_cases_of_a_model_widen_the_interval_of_a_share() -> None:
    """Five models of 40 cases: all cases of one are wrong, so that there are five cases and not 200."""
    models = [f"m{at // 40}" for at in range(200)]
    alike = share_by_cluster([model != "m0" for model in models], models)
    spread = share_by_cluster([at % 5 != 0 for at in range(200)], models)
    independent = wilson(160, 200)
    assert alike.value == spread.value == independent.value == 0.8
    assert (alike.n, alike.templates) == (200, 5)
    assert alike.low < 0.35 < independent.low  # type: ignore[operator]
    # No spread between models: only the few degrees of freedom of five models widen it.
    assert 0.65 < spread.low < independent.low  # type: ignore[operator]


def test_where_all_cases_agree_each_model_counts_as_one_case() -> None:
    found, by_hand = share_by_cluster([True] * 100, [f"m{at % 4}" for at in range(100)]), wilson(4, 4)
    assert (found.low, found.high) == pytest.approx((by_hand.low, by_hand.high))
    with pytest.raises(NotMeasured):
        share_by_cluster([True, False], ["m", "m"])


def test_a_clustered_share_holds_the_truth_where_models_differ() -> None:
    """Simulated: 12 models of 30 cases whose own shares are drawn around 0.8. Wilson over cases misses it often."""
    draw = np.random.default_rng(0)
    held = {"clustered": 0, "independent": 0}
    for _ in range(400):
        shares = draw.beta(4, 1, 12)
        hits = draw.random((12, 30)) < shares[:, None]
        one = share_by_cluster(hits.ravel().tolist(), [f"m{at}" for at in range(12) for _ in range(30)])
        other = wilson(int(hits.sum()), hits.size)
        held["clustered"] += one.low <= 0.8 <= one.high  # type: ignore[operator]
        held["independent"] += other.low <= 0.8 <= other.high  # type: ignore[operator]
    assert held["clustered"] >= 0.93 * 400
    assert held["independent"] < 0.75 * 400


def test_main_shares_are_clustered_by_model_or_say_why_not() -> None:
    one = summarise(SAMPLES)
    assert one.by_model == {}
    assert describe_clustered(one, DECOYS) == "not measured: one model only"
    assert describe_clustered(replace(one, by_model=None), DECOYS) == "not measured: recorded before these were"
    two = summarise([*SAMPLES, *(replace(s, model="n") for s in SAMPLES)])
    assert two.by_model is not None
    assert {name: share.value for name, share in two.by_model.items()} == {
        name: pytest.approx(share.value) for name, share in list_shares(two)
    }
    assert {share.templates for share in two.by_model.values()} == {2}
    assert "of 2 models" in write_markdown(two)


def test_a_record_is_quoted_until_the_rule_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RECORD", tmp_path / "calibration.json")
    monkeypatch.setattr(report, "PAGE", tmp_path / "calibration.md")
    assert "not measured for this version" in quote_calibration()
    found = summarise(SAMPLES)
    save_calibration(found)
    assert load_calibration() == found
    assert "4 of 11 used components" in quote_calibration()
    assert "10.0 % [1.8, 40.4] of 10" in quote_calibration()
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
    assert all(s.is_in_contrast is (planted != "decoy") for s in found)


def test_a_sample_draws_templates_with_replacement_and_keeps_rows_together(load_planted: Load) -> None:
    model, subject = find_planted("planted-induction"), load_planted("planted-induction")
    assert model is not None
    prompts = tokenise(model.find_task("query").make(8, 0), subject.tokenizer)
    rows = draw_rows(prompts.templates, np.random.default_rng(0))
    trial = measure_population(subject, make_claim(model.claims[-1]), prompts, [rows], seed=0)
    drawn = take_sample(trial, rows)
    assert len(drawn.clean) == TEMPLATES * PROMPTS == len(drawn.clusters)
    assert len(set(drawn.clusters)) == TEMPLATES
    pairs = {(a, b) for a, b in zip(trial.clean.tolist(), trial.corrupted.tolist())}
    assert set(zip(drawn.clean.tolist(), drawn.corrupted.tolist())) <= pairs


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
