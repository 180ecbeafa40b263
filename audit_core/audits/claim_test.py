"""A claim held against prompts: controls, every ablation family, chance, self-repair, and a verdict by its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from audit_core.claim import Claim, Role
from audit_core.component import Component, Kind
from audit_core.drift import Drift, measure_divergence
from audit_core.effect import Controls, Effect, measure_effect
from audit_core.errors import NotMeasured
from audit_core.faithfulness import describe_tuple
from audit_core.intervention import Replacement
from audit_core.mediation import Mediation, estimate_mediation
from audit_core.plausibility import Source, list_sources, weigh_source
from audit_core.prompts import TokenisedPrompts
from audit_core.repair import (
    Repair,
    list_later,
    needs_search,
    plan_backups,
    plan_direct,
    read_backups,
    read_direct,
    spread,
)
from audit_core.run import get_metric
from audit_core.statistics import Estimate, bootstrap_mean, count_needed
from audit_core.subject import Means, Progress, Subject, no_partial
from audit_core.trial import (
    FAMILIES,
    Judgement,
    NullFinding,
    Trial,
    TrialPlan,
    judge_trial,
    plan_trial,
    read_trial,
)
from audit_core.verdict import State


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

    @property
    def lone_part(self) -> Component | None:
        """The component whose absence others may make up for: of a claim that one alone is needed."""
        is_lone = len(self.claim.components) == 1 and self.claim.role is Role.NECESSARY
        return self.claim.components[0] if is_lone else None

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
    null: NullFinding | None
    repair: Repair | None
    """Of a single component; None for sets and for sufficiency."""
    mediation: Mediation
    n_needed: int | None
    """Prompts that would settle an interval that reaches across δ, if the value stayed; None otherwise."""
    clean: Estimate
    corrupted: Estimate
    accuracy: float
    looks: tuple[Looks, ...]
    controls: Controls
    drift: Drift


@dataclass(frozen=True)
class ClaimTestAudit:
    name: str = "claim_test"
    question: str = "Does the claim hold on these prompts?"
    result: type = ClaimTestResult

    def count_work(self, subject: Subject, request: ClaimTestRequest) -> int:
        # How far the null's directions reach does not change what they cost.
        plan = plan_trial(subject, request.claim, lambda: [1.0] * len(request.claim.components), seed=request.seed)
        return sum(_count_stages(subject, request, plan))

    def run(
        self,
        subject: Subject,
        request: ClaimTestRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> ClaimTestResult:
        return _test(subject, request, means, on_progress)


def _test(subject: Subject, request: ClaimTestRequest, means: Means | None, on_progress: Progress) -> ClaimTestResult:
    claim, seed, clusters = request.claim, request.seed, request.prompts.templates
    metric = get_metric(claim.metric)
    plan = plan_trial(
        subject,
        claim,
        lambda: subject.measure_moves(request.prompts, claim.components, claim.ablation, means=means).tolist(),
        seed=seed,
    )
    first, own, extra = _count_stages(subject, request, plan)
    whole = first + own + extra

    def report(before: int, size: int) -> Progress:
        return lambda done, total: on_progress(before + size * done // total, whole)

    def measure(part: TrialPlan, progress: Progress) -> tuple[Effect, Trial, Judgement]:
        effect = measure_effect(
            subject,
            request.prompts,
            part.list_all(),
            metric,
            means=means,
            seed=seed,
            on_progress=progress,
        )
        trial = read_trial(claim, part, effect)
        return effect, trial, judge_trial(trial, seed=seed)

    if claim.role is Role.NECESSARY:
        effect, trial, judged = measure(plan, report(first, own))
    else:
        # Every draw leaves one small set alone, a whole pass each; and chance can but take "supported" away.
        effect, trial, judged = measure(plan.without_draws(), report(0, first))
        if plan.draws and judged.states.get(claim.ablation) is State.SUPPORTED:
            effect, trial, judged = measure(plan, report(first, own))
    repair = _find_repair(subject, request, trial, on_progress=report(first + own, extra))
    on_progress(whole, whole)
    primary = judged.families.get(claim.ablation)
    verdict = judged.verdict
    return ClaimTestResult(
        verdict.state.value,
        verdict.reason,
        verdict.sentence,
        describe_tuple(claim),
        {f.value: judged.families.get(f) for f in FAMILIES},
        {f.value: why for f, why in judged.not_measured.items()},
        judged.null,
        repair,
        estimate_mediation(
            trial.clean,
            trial.corrupted,
            trial.families[Replacement.RESAMPLE].without,
            trial.denoised,
            clusters,
            unit=effect.unit,
            seed=seed,
        ),
        _count_needed(claim, primary) if verdict.reason in ("straddles_delta", "low_power") else None,
        bootstrap_mean(effect.clean, clusters, unit=effect.unit, seed=seed),
        bootstrap_mean(effect.corrupted, clusters, unit=effect.unit, seed=seed),
        effect.accuracy,
        _look(subject, request),
        effect.controls,
        _find_drift(subject, plan, judged, claim.role, seed=seed),
    )


def _find_drift(subject: Subject, plan: TrialPlan, judged: Judgement, role: Role, *, seed: int) -> Drift:
    norms = {family.value: shift for family, shift in judged.shifts.items()}
    try:
        return Drift(norms, measure_divergence(subject, plan.find_judged(role), seed=seed), "")
    except NotMeasured as error:
        return Drift(norms, {}, error.detail)


def _count_stages(subject: Subject, request: ClaimTestRequest, plan: TrialPlan) -> tuple[int, int, int]:
    """Work without draws, where that comes first; with them; and of self-repair."""
    bare = subject.count_work(request.prompts, plan.without_draws().list_all())
    own = subject.count_work(request.prompts, plan.list_all())
    part = request.lone_part
    extra = 0 if part is None else subject.count_work(spread(request.prompts), plan_backups(subject, part))
    return (0 if request.claim.role is Role.NECESSARY else bare), own, extra


def _find_repair(subject: Subject, request: ClaimTestRequest, trial: Trial, *, on_progress: Progress) -> Repair | None:
    part = request.lone_part
    if part is None:
        return None
    prompts, metric = spread(request.prompts), get_metric(request.claim.metric)
    zeroed, seed = trial.families[Replacement.ZERO], request.seed
    least = request.claim.delta * abs(float((zeroed.clean - zeroed.empty).mean()))
    effect = measure_effect(subject, prompts, plan_direct(subject, part), metric, seed=seed)
    found, later = read_direct(effect, least=least, seed=seed), list_later(subject, part)
    if not later or not needs_search(found, least=least):
        return found
    effect = measure_effect(subject, prompts, plan_backups(subject, part), metric, seed=seed, on_progress=on_progress)
    return replace(found, backups=read_backups(effect, later, least=least, seed=seed), n_others=len(later))


def _count_needed(claim: Claim, estimate: Estimate | None) -> int | None:
    """Prompts to clear the nearer of the two bounds."""
    if estimate is None:
        return None
    nearer = claim.delta if estimate.value > 0 else -claim.delta
    return count_needed(estimate, nearer)


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
