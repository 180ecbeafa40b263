"""How many prompts a verdict needs, and what is said where there are too few."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from audit_core.audits.claim_test import PLUGIN, ClaimTestRequest, ClaimTestResult
from audit_core.claim import Claim
from audit_core.component import parse_components
from audit_core.effect import get_metric, measure_effect
from audit_core.judging.trial import count_claims_held, judge_trial, measure_null_draws, plan_trial, read_trial
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import PromptSet
from audit_core.stats.estimates import MIN_TEMPLATES, Estimate, count_needed
from audit_core.subject import no_progress
from audit_core.subjects.planted import find_planted

Load = Callable[[str], Any]


def test_templates_needed_follow_from_the_interval() -> None:
    """[0.1, 0.3] over 25 templates is σ = 0.1 / 1.96 · 5 = 0.255 a template; (1.96 + 0.842)² · 0.255² / 0.15² = 22.7; and
    four times as many for half the distance. How many prompts each has makes no difference."""
    found = Estimate(0.2, 0.1, 0.3, 100, "u", 0.95, 25)
    assert count_needed(found, 0.05) == 23 == count_needed(replace(found, n=900), 0.05)
    assert count_needed(found, 0.125) == 91
    assert count_needed(found, 0.2) is None, "no number of templates separates a value from itself"
    assert count_needed(Estimate(0.2, None, None, 1, "u", None), 0.1) is None


def judge(load_planted: Load, per_template: int, delta: float) -> ClaimTestResult:
    model, subject = find_planted("planted-induction"), load_planted("planted-induction")
    assert model is not None
    prompts = tokenise(model.find_task("query").make(per_template, 0), subject.tokenizer)
    assert len(prompts) == 8 * per_template
    claim = Claim("a bystander", parse_components("L2.H4"), delta=delta)
    means = subject.capture_means(prompts)
    return PLUGIN.run(subject, ClaimTestRequest(prompts, claim), means=means, on_progress=no_progress)


def test_a_bystander_is_negligible_only_with_enough_prompts(load_planted: Load) -> None:
    """T12: δ of 0.05 of 14 logits. Eight prompts carry no verdict, however small the effect looks; 64 and 256 do, and
    their intervals, in logits, lie inside ±0.05 and shrink."""
    few, some, many = (judge(load_planted, per_template, 0.05 / 14) for per_template in (1, 8, 32))
    assert (few.state, few.reason) == ("inconclusive", "low_power")
    assert few.templates_needed is None or few.templates_needed >= MIN_TEMPLATES
    assert (some.state, many.state) == ("negligible", "negligible")
    widths = []
    for found in (some, many):
        estimate = found.families["resample"]
        assert estimate is not None
        assert estimate.low is not None
        assert estimate.high is not None
        assert -0.05 < 14 * estimate.low < 14 * estimate.high < 0.05
        widths.append(estimate.high - estimate.low)
    assert widths[1] < 0.95 * widths[0], (
        "few templates: the interval is over their spread, which more prompts of each reduce little"
    )


def test_ten_draws_cannot_support_what_199_do(load_planted: Load) -> None:
    """T11: with ten draws p cannot go below 1/11 = 0.091, though none of them does anything like the cause."""
    model, subject = find_planted("planted-strict"), load_planted("planted-strict")
    assert model is not None
    prompts = tokenise(model.find_task("query").make(6, 0), subject.tokenizer)
    claim, metric = Claim("a cause", parse_components("L1.H0")), get_metric("logit_difference")
    means = subject.capture_means(prompts)
    plan = plan_trial(subject, claim, lambda: [1.0], seed=0)
    trial = read_trial(claim, plan, measure_effect(subject, prompts, plan.list_runs(), metric, means=means, seed=0))
    assert judge_trial(trial, seed=0).needs_null_draws
    trial = measure_null_draws(subject, prompts, trial, plan, metric, means=means, seed=0)
    full, ten = (judge_trial(replace(trial, null=trial.null[:draws]), seed=0) for draws in (199, 10))
    assert full.null is not None
    assert ten.null is not None
    assert (full.verdict.state, full.null.p) == ("supported", pytest.approx(1 / 200))
    assert (ten.verdict.reason, ten.null.p) == ("null_not_beaten", pytest.approx(1 / 11))
    assert count_claims_held(trial, seed=0) == 10, "p of 1/200 stands at α/10 = 0.005 and not at α/11"
    assert full.null.n == len(prompts.spread(48)) == 48


def test_what_could_not_be_put_has_no_number(load_planted: Load) -> None:
    """The context task asked with answer and foil exchanged: the model does not do it, so nothing of it is shown."""
    model, subject = find_planted("planted-strict"), load_planted("planted-strict")
    assert model is not None
    rows = model.find_task("query").make(4, 0)
    turned = PromptSet("turned", tuple(replace(p, answer=p.foil, foil=p.answer) for p in rows.prompts))
    prompts = tokenise(turned, subject.tokenizer)
    request = ClaimTestRequest(prompts, Claim("a cause", parse_components("L1.H0")))
    found = PLUGIN.run(subject, request, means=subject.capture_means(prompts), on_progress=no_progress)
    assert (found.state, found.reason) == ("inconclusive", "model_fails_task")
    assert set(found.families.values()) == {None}
    assert set(found.not_measured) == {"resample", "mean", "zero"}
    nothing = (found.null, found.repair, found.mediation, found.drift, found.templates_needed)
    assert nothing == (None,) * 5
    assert found.holds_among == 0
