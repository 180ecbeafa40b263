"""Claim test: controls, all ablation families, random baseline, self-repair, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audit_core.attention.plausibility import Source, list_sources, weigh_source
from audit_core.audit import Audit, Finding, decide_side
from audit_core.capability import ATTENTION, HEADS, MEANS, Capability
from audit_core.claim import Claim, Role
from audit_core.component import Component, Kind
from audit_core.controls import Controls
from audit_core.effect import Effect, get_metric, measure_effect
from audit_core.errors import NotMeasured
from audit_core.evidence.kind import Causal, Observational
from audit_core.intervention import Replacement
from audit_core.judging.faithfulness import describe_tuple, list_kinds
from audit_core.judging.identification import Assumption, describe_scope, list_assumptions
from audit_core.judging.loads import find_loads
from audit_core.judging.members import Member, can_test_members, describe_members, plan_members, read_members
from audit_core.judging.null import PROMPTS as NULL_PROMPTS
from audit_core.judging.repair import MOST_PROMPTS as REPAIR_PROMPTS
from audit_core.judging.repair import (
    Repair,
    list_candidates,
    needs_search,
    plan_backups,
    plan_direct,
    read_backups,
    read_direct,
)
from audit_core.judging.shift import DistributionShift, measure_divergence
from audit_core.judging.trial import (
    FAMILIES,
    Judgement,
    NullFinding,
    Trial,
    TrialPlan,
    count_claims_held,
    estimate_templates,
    estimate_these_templates,
    judge_trial,
    plan_trial,
    run_trial,
)
from audit_core.judging.usual_range import keep_in_range, plan_in_range
from audit_core.judging.verdict import State, Verdict
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Request
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import MIN_TEMPLATES, Estimate, count_needed
from audit_core.stats.groups import GroupEstimates
from audit_core.stats.mediation import Mediation, estimate_mediation
from audit_core.subject import Means, Progress, Subject, no_partial


@dataclass(frozen=True)
class ClaimTestRequest(Request):
    """Request: the claim and the prompts it is tested on."""

    prompts: TokenisedPrompts
    claim: Claim
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return FAMILIES

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(list_kinds(self.claim.universe))

    @property
    def single_component(self) -> Component | None:
        """The component to test for self-repair: of a necessity claim about one component."""
        is_single = len(self.claim.components) == 1 and self.claim.role is Role.NECESSARY
        return self.claim.components[0] if is_single else None


@dataclass(frozen=True)
class SourceAttention:
    """Attention of the claim's heads to a source token; reported, but not used by the verdict."""

    source: str
    mass: Observational[Estimate]
    """Mean attention mass of the claim's heads; unit "share of attention"."""


@dataclass(frozen=True)
class Item:
    """Metric on one prompt, in its unit; `families` contains ratios of means of differences of these."""

    prompt: str
    template: str
    family: str
    clean: Observational[float]
    corrupted: Observational[float]
    judged: Causal[float]
    """Components ablated for a necessary claim, or alone for a sufficient one."""
    empty: Causal[float]
    """Whole universe ablated."""


@dataclass(frozen=True, kw_only=True)
class ClaimTestResult:
    """Finding about one claim; for an untestable claim, only the reason.

    Fields with a default are missing in results that were stored by versions before 9, which pages still show. Before 10 no
    later neurons were kept in range (`drift.in_range`).
    """

    state: str
    reason: str | None
    sentence: str
    conditions: tuple[tuple[str, str], ...]
    families: Causal[dict[str, Estimate | None]]
    """Effect per ablation family, fraction of the clean – empty-circuit gap; None if not measured."""
    not_measured: dict[str, str]
    """Reason, per family without an estimate."""
    null: Causal[NullFinding | None]
    holds_among: int
    """Largest number of claims in one report at which the verdict stays the same at the Bonferroni level; 0 if it is
    inconclusive. Input of Holm's step-down."""
    repair: Causal[Repair | None]
    """Self-repair of a single component; None for sets and for sufficiency."""
    by_template: Causal[GroupEstimates | None] = None
    """Effect in each template, under the claim's own ablation; the intervals are simultaneous. None if not measured."""
    these_templates: Causal[Estimate | None] = None
    """Effect over prompts of exactly these templates. The verdict rests on the wider interval over templates like these."""
    members: Causal[tuple[Member, ...]] = ()
    """Contribution of each component of a set; empty for single components, and for sets above `MOST_MEMBERS`."""
    identification: tuple[Assumption, ...] = ()
    """What the causal reading rests on, with what the run found about each assumption."""
    mediation: Causal[Mediation | None]
    templates_needed: int | None
    """Templates (with as many prompts each) needed for an interval that excludes δ, at the present value."""
    clean: Observational[Estimate]
    corrupted: Observational[Estimate]
    accuracy: Observational[float]
    looks: tuple[SourceAttention, ...]
    controls: Controls
    drift: Causal[DistributionShift | None]
    items: tuple[Item, ...]
    """Every prompt under every family, so that others can recompute the estimates."""


@dataclass(frozen=True)
class ClaimTestAudit(Audit):
    name: str = "claim_test"
    question: str = "Does the claim hold on these prompts?"
    request: type[Request] = ClaimTestRequest
    result: type = ClaimTestResult
    version: int = 10
    shown_versions: tuple[int, ...] = (9,)
    no_rate: str = "Its verdicts are those of the combined rule, which has tables of its own."
    counts_as: tuple[str, ...] = ("causal_results",)
    demands: tuple[Capability[Any], ...] = (HEADS, MEANS, ATTENTION)
    judges: bool = True
    pace: float = 0.4

    def count_work(self, subject: Subject, request: ClaimTestRequest) -> int:
        # Sizes of random directions do not affect the amount of work.
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

    def list_findings(self, result: ClaimTestResult, components: Collection[str]) -> tuple[Finding, ...]:
        is_valid = {State.SUPPORTED: True, State.NEGLIGIBLE: False, State.REVERSED: False}.get(State(result.state))
        return (Finding(decide_side(is_valid), result.sentence),)


def _test(subject: Subject, request: ClaimTestRequest, means: Means | None, on_progress: Progress) -> ClaimTestResult:
    claim, prompts, seed = request.claim, request.prompts, request.seed
    metric, clusters = get_metric(claim.metric), prompts.templates
    loads = find_loads(subject, prompts, claim.components)
    plan = plan_trial(
        subject,
        claim,
        lambda: (
            MEANS.of(subject).activation_change_rms(prompts, claim.components, claim.ablation, means=means).tolist()
        ),
        seed=seed,
        loads=loads,
    )
    stages = _count_stages(subject, request, plan)
    on_own, on_ranges, on_repair = _split_progress((stages[0] + stages[1], *stages[2:]), on_progress)
    trial, judged, effect = run_trial(subject, claim, prompts, plan, metric, means=means, seed=seed, on_progress=on_own)
    is_tested, no_range = bool(judged.families), ""
    if is_tested:
        trial, no_range = keep_in_range(
            subject, prompts, trial, plan, metric, means=means, seed=seed, on_progress=on_ranges
        )
        judged = judge_trial(trial, seed=seed)
    verdict = judged.verdict
    repair = _find_repair(subject, request, trial, on_progress=on_repair) if is_tested else None
    members = _find_members(subject, request, trial, means) if is_tested else ()
    mediation = estimate_mediation(
        trial.clean,
        trial.corrupted,
        trial.families[Replacement.RESAMPLE].without,
        trial.denoised,
        clusters,
        unit=effect.unit,
        seed=seed,
    )
    drift = _find_shift(subject, plan, judged, claim.role, no_range, seed=seed) if is_tested else None
    on_progress(sum(stages), sum(stages))
    return ClaimTestResult(
        state=verdict.state.value,
        reason=verdict.reason,
        sentence=_state_verdict(verdict, members, prompts),
        conditions=describe_tuple(claim),
        families={f.value: judged.families.get(f) for f in FAMILIES},
        not_measured={f.value: why for f, why in judged.not_measured.items()},
        null=judged.null,
        holds_among=count_claims_held(trial, seed=seed),
        repair=repair,
        by_template=estimate_templates(trial, level=1 - claim.alpha) if is_tested else None,
        these_templates=estimate_these_templates(trial) if is_tested else None,
        members=members,
        identification=_identify(request, judged, effect, repair, no_range),
        mediation=mediation if is_tested else None,
        templates_needed=_count_needed(claim, judged),
        clean=bootstrap_mean(effect.clean, clusters, unit=effect.unit, seed=seed),
        corrupted=bootstrap_mean(effect.corrupted, clusters, unit=effect.unit, seed=seed),
        accuracy=effect.accuracy,
        looks=_read_attention(subject, request),
        controls=effect.controls,
        drift=drift,
        items=tuple(_list_items(prompts, trial)),
    )


def _identify(
    request: ClaimTestRequest, judged: Judgement, effect: Effect, repair: Repair | None, no_range: str
) -> tuple[Assumption, ...]:
    return list_assumptions(
        request.claim,
        request.prompts,
        get_metric(request.claim.metric),
        families=judged.families,
        shifts=judged.shifts,
        in_range=judged.in_range,
        no_range=no_range,
        controls=effect.controls,
        repair=repair,
        accuracy=effect.accuracy,
    )


def _split_progress(stages: Sequence[int], on_progress: Progress) -> list[Progress]:
    """Progress of each stage as progress of all of them."""

    def report(before: int, size: int) -> Progress:
        return lambda done, total: on_progress(before + size * done // total, sum(stages))

    return [report(sum(stages[:at]), size) for at, size in enumerate(stages)]


def _state_verdict(verdict: Verdict, members: tuple[Member, ...], prompts: TokenisedPrompts) -> str:
    scope = "" if verdict.state is State.INCONCLUSIVE else describe_scope(prompts)
    return " ".join(filter(None, (verdict.sentence, describe_members(members), scope)))


def _list_items(prompts: TokenisedPrompts, trial: Trial) -> Iterator[Item]:
    is_necessary = trial.claim.role is Role.NECESSARY
    for family, circuit in trial.families.items():
        judged = circuit.without if is_necessary else circuit.alone
        rows = zip(prompts.pairs, circuit.clean, trial.corrupted, judged, circuit.empty, strict=True)
        for pair, *values in rows:
            yield Item(pair.prompt.id, pair.prompt.template, family.value, *map(float, values))


def _find_shift(
    subject: Subject, plan: TrialPlan, judged: Judgement, role: Role, no_range: str, *, seed: int
) -> DistributionShift:
    norms = {family.value: shift for family, shift in judged.shifts.items()}
    in_range = {family.value: estimate for family, estimate in judged.in_range.items()}
    try:
        judged_runs = {family.value: run for family, run in plan.find_judged(role).items()}
        return DistributionShift(norms, measure_divergence(subject, judged_runs, seed=seed), "", in_range, no_range)
    except NotMeasured as error:
        return DistributionShift(norms, {}, error.detail, in_range, no_range)


def _count_stages(subject: Subject, request: ClaimTestRequest, plan: TrialPlan) -> tuple[int, int, int, int]:
    """Work of the claim's own runs, of the draws, of the runs in range, and of the backup tests."""
    prompts, part = request.prompts, request.single_component
    own = subject.count_work(prompts, plan.list_runs())
    draws = subject.count_work(prompts.take(prompts.spread(NULL_PROMPTS)), plan.draws) if plan.draws else 0
    extra = 0 if part is None else subject.count_work(_take_few(prompts), plan_backups(subject, part))
    if can_test_members(request.claim):
        extra += subject.count_work(_take_few(prompts), plan_members(subject, request.claim))
    kept = plan_in_range(subject, request.claim, plan)
    return own, draws, subject.count_work(prompts, kept) if kept else 0, extra


def _take_few(prompts: TokenisedPrompts) -> TokenisedPrompts:
    return prompts.take(prompts.spread(REPAIR_PROMPTS))


def _find_repair(subject: Subject, request: ClaimTestRequest, trial: Trial, *, on_progress: Progress) -> Repair | None:
    part, seed = request.single_component, request.seed
    if part is None:
        return None
    prompts, metric = _take_few(request.prompts), get_metric(request.claim.metric)
    candidates = list_candidates(subject, part)
    own = trial.families[request.claim.ablation]
    least = request.claim.delta * float((own.clean - own.empty).mean())
    effect = measure_effect(subject, prompts, plan_direct(subject, part), metric, seed=seed)
    found = read_direct(effect, len(candidates), least=least, seed=seed)
    if not needs_search(found, least=least):
        return found
    effect = measure_effect(subject, prompts, plan_backups(subject, part), metric, seed=seed, on_progress=on_progress)
    return read_backups(effect, found, candidates, least=least, seed=seed)


def _find_members(subject: Subject, request: ClaimTestRequest, trial: Trial, means: Means | None) -> tuple[Member, ...]:
    claim, seed = request.claim, request.seed
    if not can_test_members(claim):
        return ()
    rows = request.prompts.spread(REPAIR_PROMPTS)
    effect = measure_effect(
        subject,
        request.prompts.take(rows),
        plan_members(subject, claim),
        get_metric(claim.metric),
        means=means,
        seed=seed,
    )
    return read_members(effect, claim, trial.families[claim.ablation].take(rows), seed=seed)


def _count_needed(claim: Claim, judged: Judgement) -> int | None:
    """Templates needed to exclude the nearer of the two bounds; at least the minimum of any verdict."""
    estimate = judged.families.get(claim.ablation)
    if estimate is None or judged.verdict.reason not in ("straddles_delta", "low_power"):
        return None
    needed = count_needed(estimate, claim.delta if estimate.value > 0 else -claim.delta)
    return None if needed is None else max(needed, MIN_TEMPLATES)


def _read_attention(subject: Subject, request: ClaimTestRequest) -> tuple[SourceAttention, ...]:
    heads = [c for c in request.claim.components if c.kind is Kind.HEAD]
    if not heads:
        return ()
    attention = ATTENTION.of(subject).attention_to_last(request.prompts)
    looks = []
    for source in (s for s in list_sources(request.prompts) if s in (Source.ANSWER, Source.FOIL, Source.CHANGED)):
        mass = weigh_source(attention, request.prompts, source).mass
        mean = np.stack([mass[c.layer, c.index] for c in heads]).mean(0)
        looks.append(
            SourceAttention(
                source.value,
                bootstrap_mean(mean, request.prompts.templates, unit="share of attention", seed=request.seed),
            )
        )
    return tuple(looks)


PLUGIN = ClaimTestAudit()
