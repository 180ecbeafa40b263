"""The off-distribution monitor: lengths of the residual stream, and what happens to unrelated text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from audit_core.claim import Claim
from audit_core.component import parse_components
from audit_core.data_folder import load_texts
from audit_core.effect import get_metric, measure_effect
from audit_core.errors import ControlFailed, NotMeasured
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.judging.shift import TEXT_TOKENS, measure_divergence, measure_norm_shift, pair_texts
from audit_core.judging.trial import judge_trial, plan_trial, read_trial
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subjects.planted import find_planted
from tests.toy.additive import AdditiveSubject

Load = Callable[[str], Any]


def make_prompts(subject: Any, n: int = 6) -> TokenisedPrompts:
    model = find_planted("planted-leak")
    assert model is not None
    return tokenise(model.find_task("query").make(n, 0), subject.tokenizer)


def judge_leak(load_planted: Load, replacement: Replacement) -> Any:
    subject = load_planted("planted-leak")
    prompts = make_prompts(subject)
    claim = Claim("planted", parse_components("L0.H0"), ablation=replacement)
    plan = plan_trial(subject, claim, lambda: [1.0], seed=0)
    effect = measure_effect(
        subject,
        prompts,
        plan.list_runs(),
        get_metric(claim.metric),
        means=subject.capture_means(prompts),
        seed=0,
    )
    return judge_trial(read_trial(claim, plan, effect), seed=0)


def test_lengths_are_counted_in_standard_deviations_of_unedited_runs(load_planted: Load) -> None:
    """Held against the residual stream as TransformerLens itself gives it."""
    subject = load_planted("planted-leak")
    prompts = make_prompts(subject)
    run = intervene(parse_components("L0.H1"), Replacement.ZERO)
    effect = measure_effect(subject, prompts, [run], get_metric("logit_difference"), seed=0)
    found = measure_norm_shift(effect, {Replacement.ZERO: 0})[Replacement.ZERO]

    import torch

    def length(ids: tuple[int, ...], hooks: list[Any]) -> float:
        last = len(subject.bridge.blocks) - 1
        kept: list[torch.Tensor] = []
        tail = (f"blocks.{last}.hook_resid_post", lambda value, hook: kept.append(value[0, -1]))
        with torch.no_grad():
            subject.bridge.run_with_hooks(torch.tensor([ids]), fwd_hooks=[*hooks, tail])
        return float(kept[0].norm())

    def drop(value: torch.Tensor, hook: object) -> torch.Tensor:
        value = value.clone()
        value[:, :, 1] = 0
        return value

    usual = np.array([[length(p.clean_ids, []), length(p.corrupted_ids, [])] for p in prompts.pairs])
    edited = np.array([length(p.clean_ids, [("blocks.0.attn.hook_z", drop)]) for p in prompts.pairs])
    np.testing.assert_allclose(found, (edited - usual.mean()) / usual.std(), rtol=1e-3)


def test_a_run_far_outside_gives_no_verdict(load_planted: Load) -> None:
    """Zero leaves a length that no prompt gives, −13 standard deviations; another prompt's output does not."""
    usual, outside = (judge_leak(load_planted, family) for family in (Replacement.RESAMPLE, Replacement.ZERO))
    assert abs(usual.shifts[Replacement.RESAMPLE].value) < 1
    assert usual.verdict.reason != "off_distribution"
    assert outside.shifts[Replacement.ZERO].value < -10
    assert (outside.verdict.state, outside.verdict.reason) == ("inconclusive", "off_distribution")
    assert "standard deviations" in outside.verdict.sentence


def test_without_lengths_or_without_spread_nothing_is_counted(load_planted: Load) -> None:
    subject = load_planted("planted-leak")
    run = intervene(parse_components("L0.H1"), Replacement.ZERO)
    effect = measure_effect(subject, make_prompts(subject), [run], get_metric("logit_difference"), seed=0)
    assert measure_norm_shift(replace(effect, norms=None), {Replacement.ZERO: 0}) == {}
    assert effect.norms is not None
    assert measure_norm_shift(replace(effect, norms=np.ones_like(effect.norms)), {Replacement.ZERO: 0}) == {}


def test_divergence_on_unrelated_text_is_its_formula() -> None:
    """The toy's answer token loses its one term: KL of two softmaxes by hand; a part that writes nothing moves nothing."""
    part, idle = parse_components("L0.H0"), parse_components("L1.H2")
    subject = AdditiveSubject({part[0]: 3.0, idle[0]: 0.0}, level=lambda text: 1.0)
    runs = {Replacement.ZERO: intervene(part, Replacement.ZERO), Replacement.MEAN: intervene(idle, Replacement.ZERO)}
    found = measure_divergence(subject, runs, seed=0)
    before, after = (np.array([value, *[0.0] * (subject.geometry.n_vocabulary - 1)]) for value in (3.0, 0.0))
    p, q = (np.exp(v) / np.exp(v).sum() for v in (before, after))
    assert found["zero"].value == pytest.approx(float((p * np.log(p / q)).sum()), rel=1e-5)
    assert found["mean"].value == pytest.approx(0, abs=1e-7)
    assert (found["zero"].unit, found["zero"].n) == ("nats", len(load_texts()))


def test_texts_are_all_of_one_length_and_replace_each_other() -> None:
    texts = pair_texts(AdditiveSubject({}).tokenizer)
    assert {len(p.clean_ids) for p in texts.pairs} == {len(p.corrupted_ids) for p in texts.pairs} == {TEXT_TOKENS}
    assert len(set(texts.templates)) == len(texts) == len(load_texts())
    assert all(pair.clean_ids != pair.corrupted_ids for pair in texts.pairs)


def test_a_model_without_words_is_reported_as_such(load_planted: Load) -> None:
    subject = load_planted("planted-strict")
    with pytest.raises(NotMeasured, match="cannot encode ordinary text"):
        measure_divergence(subject, {Replacement.ZERO: Intervention(())}, seed=0)


def test_an_edit_that_never_arrived_gives_no_divergence_of_zero() -> None:
    """No control run stands beside unrelated text: the count of edits is all there is between it and a silent nothing."""

    class Losing(AdditiveSubject):
        def run(self, *args: Any, **options: Any) -> Any:
            logits = super().run(*args, **options)
            return replace(logits, edits_applied=logits.edits_applied - 1)

    part = parse_components("L0.H0")
    runs = {Replacement.ZERO: intervene(part, Replacement.ZERO)}
    with pytest.raises(ControlFailed, match="1 of 16 edits were not applied"):
        measure_divergence(Losing({part[0]: 3.0}, level=lambda text: 1.0), runs, seed=0)


def test_a_length_that_was_never_read_does_not_switch_the_monitor_off(load_planted: Load) -> None:
    subject = load_planted("planted-leak")
    run = intervene(parse_components("L0.H1"), Replacement.ZERO)
    effect = measure_effect(subject, make_prompts(subject), [run], get_metric("logit_difference"), seed=0)
    assert effect.norms is not None
    broken = effect.norms.copy()
    broken[0, 0] = np.nan
    with pytest.raises(ControlFailed, match="NaN"):
        measure_norm_shift(replace(effect, norms=broken), {Replacement.ZERO: 0})
