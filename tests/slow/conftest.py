"""What several files measure of the default model, measured once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from audit_core import TokenisedPrompts, load_prompt_set, tokenise
from audit_core.claim import Claim, Role, Universe
from audit_core.component import Kind, head
from audit_core.effect import Effect, measure_effect
from audit_core.intervention import Intervention
from audit_core.judging.shift import load_texts
from audit_core.judging.trial import Trial, plan_trial, read_trial
from audit_core.prompts import take_split
from audit_core.registry import get_plugin
from audit_core.subject import Means
from audit_core.subjects.transformer import TransformerSubject

HEADS = (Universe.HEADS, Universe.HEADS_MLPS)
"""Where L23.H3 is asked about."""


@pytest.fixture(scope="session")
def indirect_objects(default_subject: TransformerSubject) -> TokenisedPrompts:
    """Two prompts of each of ten templates, from the half on which no circuit was searched for."""
    half = tokenise(take_split(load_prompt_set("indirect_object"), exploratory=False), default_subject.tokenizer)
    return half.take(half.spread(20))


@pytest.fixture(scope="session")
def indirect_means(default_subject: TransformerSubject, indirect_objects: TokenisedPrompts) -> Means:
    return default_subject.capture_means(indirect_objects)


@pytest.fixture(scope="session")
def sufficiency(
    default_subject: TransformerSubject, indirect_objects: TokenisedPrompts, indirect_means: Means
) -> Mapping[str, Trial]:
    """Trials, without draws, of three claims of sufficiency; most of their runs are the same, and each is measured once.

    `heads` and `heads+mlps`: L23.H3 alone, among these; `everything`: all heads."""
    alone, every = (head(23, 3),), default_subject.components(Kind.HEAD)
    claims = {universe.value: Claim("L23.H3 alone", alone, universe, Role.SUFFICIENT, delta=0.8) for universe in HEADS}
    claims["everything"] = Claim("these alone carry the answer", every, role=Role.SUFFICIENT, delta=0.8)
    plans = {name: plan_trial(default_subject, claim, list, seed=0) for name, claim in claims.items()}
    assert not plans["everything"].draws
    runs = [*dict.fromkeys(run for plan in plans.values() for run in plan.list_runs())]
    metric = get_plugin("metrics", "logit_difference")
    effect = measure_effect(default_subject, indirect_objects, runs, metric, means=indirect_means, seed=0)
    return {name: read_trial(claims[name], plan, take_runs(effect, plan.list_runs())) for name, plan in plans.items()}


def take_runs(effect: Effect, runs: tuple[Intervention, ...]) -> Effect:
    """The same effect with these of its interventions alone."""
    rows = [effect.interventions.index(run) for run in runs]
    assert effect.norms is not None
    norms = effect.norms[[0, 1, *(row + 2 for row in rows)]]
    return replace(effect, interventions=runs, patched=effect.patched[rows], norms=norms)


@pytest.fixture
def few_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts measure their divergence on four of the unrelated texts; on all of them that is most of what few prompts cost."""
    monkeypatch.setattr("audit_core.judging.shift.load_texts", lambda: load_texts()[:4])
