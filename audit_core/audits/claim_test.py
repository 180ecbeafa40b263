"""A claim held against prompts: every ablation family, controls first, and a verdict by its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from audit_core.claim import Claim
from audit_core.component import Kind
from audit_core.effect import Controls, Effect, check_task, measure_effect
from audit_core.errors import NotMeasured
from audit_core.faithfulness import describe_tuple, estimate_faithfulness, plan_circuit, read_circuit
from audit_core.intervention import Intervention, Replacement
from audit_core.plausibility import Source, list_sources, weigh_source
from audit_core.prompts import TokenisedPrompts
from audit_core.run import get_metric
from audit_core.statistics import Estimate, bootstrap_mean
from audit_core.subject import Means, Progress, Subject, no_partial
from audit_core.verdict import Verdict, judge, refuse_verdict

FAMILIES = (Replacement.RESAMPLE, Replacement.MEAN, Replacement.ZERO)
"""All three always run: where they disagree, that is the finding (methods, decision 4)."""


@dataclass(frozen=True)
class ClaimTestRequest:
    """Which claim is held against which prompts."""

    prompts: TokenisedPrompts
    claim: Claim
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return FAMILIES

    @property
    def reference(self) -> TokenisedPrompts:
        return self.prompts

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(c.kind for c in self.claim.components)

    def describe(self) -> dict[str, Any]:
        return {"claim": self.claim.to_json()}


@dataclass(frozen=True)
class Looks:
    """How much the claim's heads look at a source token: beside the verdict, never part of it."""

    source: str
    mass: Estimate
    """Mean attention mass of the claim's heads; unit "share of attention"."""


@dataclass(frozen=True)
class ClaimTestResult:
    """What was found about one claim."""

    state: str
    reason: str | None
    sentence: str
    conditions: tuple[tuple[str, str], ...]
    families: dict[str, Estimate | None]
    """Effect per ablation family, fraction of the clean – empty-circuit gap; None where it could not be measured."""
    not_measured: dict[str, str]
    """Why, per family without an estimate."""
    clean: Estimate
    corrupted: Estimate
    accuracy: float
    looks: tuple[Looks, ...]
    controls: Controls


@dataclass(frozen=True)
class ClaimTestAudit:
    name: str = "claim_test"
    question: str = "Does the claim hold on these prompts?"
    result: type = ClaimTestResult

    def count_work(self, subject: Subject, request: ClaimTestRequest) -> int:
        return subject.count_work(request.prompts, _plan(subject, request.claim))

    def run(
        self,
        subject: Subject,
        request: ClaimTestRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> ClaimTestResult:
        claim, seed, clusters = request.claim, request.seed, request.prompts.templates
        effect = measure_effect(
            subject,
            request.prompts,
            _plan(subject, claim),
            get_metric(claim.metric),
            means=means,
            seed=seed,
            on_progress=on_progress,
        )
        wide = _estimate_families(subject, effect, claim, seed, 1 - claim.alpha)
        narrow = _estimate_families(subject, effect, claim, seed, 1 - 2 * claim.alpha)
        estimates = {f: e for f, e in wide.items() if isinstance(e, Estimate)}
        refused = {f: e.detail for f, e in wide.items() if isinstance(e, NotMeasured)}
        verdict = _judge(
            effect, claim, estimates, {f: e for f, e in narrow.items() if isinstance(e, Estimate)}, refused
        )
        return ClaimTestResult(
            verdict.state.value,
            verdict.reason,
            verdict.sentence,
            describe_tuple(claim),
            {f.value: estimates.get(f) for f in FAMILIES},
            {f.value: why for f, why in refused.items()},
            bootstrap_mean(effect.clean, clusters, unit=effect.unit, seed=seed),
            bootstrap_mean(effect.corrupted, clusters, unit=effect.unit, seed=seed),
            effect.accuracy,
            _look(subject, request),
            effect.controls,
        )


def _plan(subject: Subject, claim: Claim) -> list[Intervention]:
    return [
        run for family in FAMILIES for run in plan_circuit(subject, claim.components, claim.universe, family).as_tuple()
    ]


def _estimate_families(
    subject: Subject, effect: Effect, claim: Claim, seed: int, level: float
) -> dict[Replacement, Estimate | NotMeasured]:
    found: dict[Replacement, Estimate | NotMeasured] = {}
    for family in FAMILIES:
        circuit = read_circuit(effect, plan_circuit(subject, claim.components, claim.universe, family))
        try:
            found[family] = estimate_faithfulness(circuit, claim.role, seed=seed, level=level)
        except NotMeasured as error:
            found[family] = error
    return found


def _judge(
    effect: Effect,
    claim: Claim,
    estimates: dict[Replacement, Estimate],
    narrow: dict[Replacement, Estimate],
    refused: dict[Replacement, str],
) -> Verdict:
    try:
        check_task(effect)
    except NotMeasured as error:
        return refuse_verdict(claim, error.reason, error.detail)
    if claim.ablation in refused:
        return refuse_verdict(claim, "control_failed", refused[claim.ablation])
    return judge(claim, estimates, narrow, n_templates=len(set(effect.prompts.templates)))


def _look(subject: Subject, request: ClaimTestRequest) -> tuple[Looks, ...]:
    heads = [c for c in request.claim.components if c.kind is Kind.HEAD]
    if not heads:
        return ()
    attention = subject.attend(request.prompts)
    looks = []
    for source in (s for s in list_sources(request.prompts) if s in (Source.ANSWER, Source.FOIL, Source.CHANGED)):
        mass = weigh_source(attention, request.prompts, source).mass
        mean = np.stack([mass[c.layer, c.index] for c in heads]).mean(0)
        looks.append(
            Looks(
                source.value,
                bootstrap_mean(mean, request.prompts.templates, unit="share of attention", seed=request.seed),
            )
        )
    return tuple(looks)


PLUGIN = ClaimTestAudit()
