"""Trial of a claim: all runs behind its verdict, and the resulting verdict."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from audit_core.claim import Claim, Role
from audit_core.component import Kind
from audit_core.effect import Effect, Metric, check_gap, measure_effect
from audit_core.errors import ControlFailed, NotMeasured
from audit_core.intervention import Direction, Intervention, Replacement, intervene
from audit_core.judging.faithfulness import (
    UNIT,
    CircuitEffect,
    CircuitRuns,
    estimate_faithfulness,
    list_universe,
    plan_circuit,
    replace_rest,
)
from audit_core.judging.null import DRAWS, PROMPTS, Loads, Null, draw_null, plan_remainders, plan_removals
from audit_core.judging.shift import average_shift, measure_norm_shift
from audit_core.judging.verdict import State, Verdict, classify, judge, refuse_verdict
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.estimates import Estimate
from audit_core.stats.groups import GroupEstimates, estimate_groups, estimate_within
from audit_core.stats.multiplicity import rank_in_null
from audit_core.subject import Means, Progress, Subject, no_progress

FAMILIES = (Replacement.RESAMPLE, Replacement.MEAN, Replacement.ZERO)
"""Ablation families; all three always run, and disagreement is a finding (methods, decision 4)."""


@dataclass(frozen=True, eq=False)
class TrialPlan:
    """The interventions of a trial."""

    families: Mapping[Replacement, CircuitRuns]
    positive_control: Intervention
    """Positive control: replacing the input of the first block must give the corrupted run."""
    denoised: Intervention
    """Denoising: the components alone restored in the corrupted run."""
    null: Null
    draws: tuple[Intervention, ...]

    def find_judged(self, role: Role) -> Mapping[Replacement, Intervention]:
        """Per family, the run that tests the claim."""
        return {f: run.without if role is Role.NECESSARY else run.alone for f, run in self.families.items()}

    def list_runs(self) -> tuple[Intervention, ...]:
        """All runs except draws, which run only if they can change the verdict."""
        families = [run for runs in self.families.values() for run in runs.as_tuple()]
        return (*families, self.positive_control, self.denoised)


def plan_trial(
    subject: Subject,
    claim: Claim,
    measure_sizes: Callable[[], Sequence[float]],
    *,
    seed: int,
    loads: Loads | None = None,
) -> TrialPlan:
    """Plan the runs of a claim.

    Args:
        measure_sizes: change of each component's output by the claim's replacement; called only for random directions.
        seed: seed of the draws.
        loads: of experts and features; random sets are matched on them.
    """
    universe = list_universe(subject, claim.universe)
    widths = [
        subject.geometry.d_head if part.kind is Kind.HEAD else subject.geometry.d_model for part in claim.components
    ]
    # A feature is a direction itself: another direction of the same size is what its matched features are.
    has_feature = any(part.kind is Kind.FEATURE for part in claim.components)
    can_use_directions = claim.role is Role.NECESSARY and not has_feature
    null = draw_null(claim.components, universe, widths, can_use_directions=can_use_directions, seed=seed, loads=loads)
    sizes = measure_sizes() if null.directions else ()
    draws = (
        plan_removals(null, claim.ablation, sizes)
        if claim.role is Role.NECESSARY
        else plan_remainders(null, lambda kept: replace_rest(subject, kept, claim.universe, claim.ablation))
    )
    return TrialPlan(
        {family: plan_circuit(subject, claim.components, claim.universe, family) for family in FAMILIES},
        intervene([part for part in subject.components(Kind.RESID) if part.layer == 0], Replacement.RESAMPLE),
        intervene(claim.components, Replacement.RESAMPLE, direction=Direction.DENOISING),
        null,
        draws,
    )


@dataclass(frozen=True, eq=False)
class Trial:
    """Metric per prompt of every run; the last axis of each array is prompt; in the metric's unit."""

    claim: Claim
    corrupted: NDArray[np.float64]
    families: Mapping[Replacement, CircuitEffect]
    denoised: NDArray[np.float64]
    shifts: Mapping[Replacement, NDArray[np.float64]]
    """Norm shift of each family's judged run; see `shift.measure_norm_shift`."""
    null: NDArray[np.float64]
    """Shape (draw, prompt), NaN on prompts without draws; no rows before `measure_null_draws`, or if the model is too
    small for draws."""
    design: str
    n_sets: int
    """Number of planned draws; fewer than `null.DRAWS` if the model has no more sets of this shape."""
    clusters: tuple[str, ...]
    unit: str
    """Unit of the metric."""
    is_right: NDArray[np.bool_] | None = None
    """See `Effect.is_right`."""
    in_range: Mapping[Replacement, NDArray[np.float64]] = field(default_factory=dict)
    """Metric of each family's judged run with later neurons kept in range, shape (prompt,); empty if not measured."""

    @property
    def clean(self) -> NDArray[np.float64]:
        return self.families[self.claim.ablation].clean

    def take(self, prompts: Sequence[int]) -> Trial:
        """The trial restricted to some of its prompts."""
        at = np.asarray(prompts)
        clusters = tuple(self.clusters[i] for i in prompts)
        return replace(
            self,
            corrupted=self.corrupted[at],
            families={family: circuit.take(prompts) for family, circuit in self.families.items()},
            denoised=self.denoised[at],
            shifts={family: shift[at] for family, shift in self.shifts.items()},
            null=self.null[:, at],
            clusters=clusters,
            is_right=None if self.is_right is None else self.is_right[at],
            in_range={family: values[at] for family, values in self.in_range.items()},
        )


def read_trial(claim: Claim, plan: TrialPlan, effect: Effect) -> Trial:
    """Build a trial from the measured runs of `TrialPlan.list_runs`.

    Raises:
        ControlFailed: replacing the input of the model did not give the corrupted run.
    """
    rows, clusters = iter(effect.patched), effect.prompts.templates
    families = {
        family: CircuitEffect(effect.clean, next(rows), next(rows), next(rows), clusters, effect.min_gap)
        for family in plan.families
    }
    positive_control, denoised = next(rows), next(rows)
    missed = float(np.abs(positive_control - effect.corrupted).max())
    if not missed <= effect.controls.tolerance:
        raise ControlFailed(
            f"With the input of the first block replaced, the metric differs from the corrupted run by {missed:.3g}."
        )
    judged = {family: effect.interventions.index(run) for family, run in plan.find_judged(claim.role).items()}
    return Trial(
        claim,
        effect.corrupted,
        families,
        denoised,
        measure_norm_shift(effect, judged),
        np.empty((0, len(effect.clean))),
        plan.null.design,
        len(plan.draws),
        clusters,
        effect.unit,
        effect.is_right,
    )


def measure_null_draws(
    subject: Subject,
    prompts: TokenisedPrompts,
    trial: Trial,
    plan: TrialPlan,
    metric: Metric,
    *,
    means: Means | None,
    seed: int,
    most: int = PROMPTS,
    on_progress: Progress = no_progress,
) -> Trial:
    """Measure the draws of a trial.

    Args:
        prompts: prompts of the trial.
        most: maximum prompts for draws.
    """
    rows = list(prompts.spread(most))
    effect = measure_effect(
        subject, prompts.take(rows), plan.draws, metric, means=means, seed=seed, on_progress=on_progress
    )
    values = np.full((len(plan.draws), len(prompts)), np.nan)
    values[:, rows] = effect.patched
    return replace(trial, null=values)


def run_trial(
    subject: Subject,
    claim: Claim,
    prompts: TokenisedPrompts,
    plan: TrialPlan,
    metric: Metric,
    *,
    means: Means | None,
    seed: int,
    on_progress: Progress = no_progress,
) -> tuple[Trial, Judgement, Effect]:
    """Measure a planned claim and judge it; draws are measured only where they can change the verdict."""
    own = subject.count_work(prompts, plan.list_runs())
    rest = subject.count_work(prompts.take(prompts.spread(PROMPTS)), plan.draws) if plan.draws else 0

    def report(before: int, size: int) -> Progress:
        return lambda done, total: on_progress(before + size * done // total, own + rest)

    effect = measure_effect(
        subject, prompts, plan.list_runs(), metric, means=means, seed=seed, on_progress=report(0, own)
    )
    trial = read_trial(claim, plan, effect)
    judged = judge_trial(trial, seed=seed)
    if judged.needs_null_draws and plan.draws:
        trial = measure_null_draws(
            subject, prompts, trial, plan, metric, means=means, seed=seed, on_progress=report(own, rest)
        )
        judged = judge_trial(trial, seed=seed)
    return trial, judged, effect


@dataclass(frozen=True)
class NullFinding:
    """The claim's effect ranked among the random baseline."""

    design: str
    values: tuple[float, ...]
    """Effect of each draw, in the unit of the claim."""
    p: float | None
    """Share of draws with at least the claim's effect, counting the claim itself; None without draws."""
    n: int
    """Prompts of the draws and of the ranking."""


@dataclass(frozen=True)
class Judgement:
    """A verdict with the numbers behind it; for an untestable claim, only the reason."""

    verdict: Verdict
    families: Mapping[Replacement, Estimate]
    states: Mapping[Replacement, State]
    """State of each ablation family by its interval alone."""
    not_measured: Mapping[Replacement, str]
    null: NullFinding | None
    shifts: Mapping[Replacement, Estimate]
    """Distribution shift of each family's judged run."""
    in_range: Mapping[Replacement, Estimate] = field(default_factory=dict)
    """Effect of each family with later neurons kept in range; empty if not measured."""

    @property
    def needs_null_draws(self) -> bool:
        """Whether the verdict is "supported" except for the missing draws."""
        return self.verdict.reason == "null_not_beaten" and self.null is not None and not self.null.values


def judge_trial(trial: Trial, *, seed: int, alpha: float | None = None) -> Judgement:
    """Apply the rule of `verdict.judge` to a trial.

    Args:
        alpha: level of intervals and of the baseline's p, corrected for other claims of the report; default: the
            claim's own.
    """
    claim, level = trial.claim, trial.claim.alpha if alpha is None else alpha
    wide, narrow, refused = {}, {}, {}
    for family, circuit in trial.families.items():
        try:
            wide[family] = estimate_faithfulness(circuit, claim.role, seed=seed, level=1 - level)
            narrow[family] = estimate_faithfulness(circuit, claim.role, seed=seed, level=1 - 2 * level)
        except NotMeasured as error:
            refused[family] = error.detail
    try:
        min_gap = trial.families[claim.ablation].min_gap
        check_gap(trial.clean, trial.corrupted, trial.unit, min_gap, is_right=trial.is_right)
        if claim.ablation in refused:
            raise NotMeasured("control_failed", refused[claim.ablation])
    except NotMeasured as error:
        nothing = dict.fromkeys(trial.families, error.detail)
        return Judgement(refuse_verdict(claim, error.reason, error.detail), {}, {}, nothing, None, {})
    states = {family: classify(wide[family], claim.delta, narrow=narrow[family]) for family in wide}
    shifts = {family: average_shift(shift, trial.clusters, seed=seed) for family, shift in trial.shifts.items()}
    found = _place_in_null(trial)
    in_range = _estimate_in_range(trial, seed=seed, level=1 - level)
    own = in_range.get(claim.ablation)
    verdict = judge(
        claim,
        wide,
        states,
        narrow=narrow[claim.ablation],
        p_null=found.p,
        alpha=level,
        n_sets=trial.n_sets,
        shift=shifts.get(claim.ablation),
        templates=estimate_templates(trial, level=1 - level).estimates,
        in_range=None if own is None else (classify(own, claim.delta), own),
    )
    return Judgement(verdict, wide, states, refused, found, shifts, in_range)


def _estimate_in_range(trial: Trial, *, seed: int, level: float) -> dict[Replacement, Estimate]:
    found = {}
    for family, without in trial.in_range.items():
        circuit = replace(trial.families[family], without=without)
        try:
            found[family] = estimate_faithfulness(circuit, trial.claim.role, seed=seed, level=level)
        except NotMeasured:
            # The family itself has no estimate either: its denominator is the same.
            continue
    return found


def estimate_templates(trial: Trial, *, level: float) -> GroupEstimates:
    """The claim's effect in each template, under its own ablation; the intervals are simultaneous."""
    circuit = trial.families[trial.claim.ablation]
    numerator, denominator = circuit.necessity if trial.claim.role is Role.NECESSARY else circuit.sufficiency
    return estimate_groups(numerator, denominator, trial.clusters, unit=UNIT, min_gap=circuit.min_gap, level=level)


def estimate_these_templates(trial: Trial) -> Estimate:
    """The claim's effect over prompts of exactly these templates; the verdict rests on templates like these instead."""
    circuit = trial.families[trial.claim.ablation]
    numerator, denominator = circuit.necessity if trial.claim.role is Role.NECESSARY else circuit.sufficiency
    return estimate_within(numerator, denominator, trial.clusters, unit=UNIT, level=1 - trial.claim.alpha)


def count_claims_held(trial: Trial, *, seed: int) -> int:
    """The largest k for which the verdict stays the same at level α / k; 0 if it is inconclusive.

    With r draws p cannot go below 1 / (r + 1), so k is at most α (r + 1).
    """
    alpha = trial.claim.alpha
    state = judge_trial(trial, seed=seed).verdict.state
    if state is State.INCONCLUSIVE:
        return 0
    counts = range(2, int(alpha * (DRAWS + 1)) + 1)
    changed = bisect_left(
        counts, True, key=lambda k: judge_trial(trial, seed=seed, alpha=alpha / k).verdict.state is not state
    )
    return 1 + changed


def _place_in_null(trial: Trial) -> NullFinding:
    """Rank of the claim among its draws, by size of effect or, for sufficiency, by closeness to the whole model."""
    necessary = trial.claim.role is Role.NECESSARY
    rows = np.flatnonzero(~np.isnan(trial.null).any(0))
    if not len(trial.null):
        return NullFinding(trial.design, (), None, 0)
    circuit, drawn = trial.families[trial.claim.ablation].take(rows.tolist()), trial.null[:, rows]
    numerator, denominator = circuit.necessity if necessary else circuit.sufficiency
    shift = circuit.clean[None] - drawn if necessary else drawn - circuit.empty[None]
    values, value = shift.mean(1) / denominator.mean(), float(numerator.mean() / denominator.mean())
    size, sizes = (abs(value), np.abs(values)) if necessary else (-abs(1 - value), -np.abs(1 - values))
    return NullFinding(trial.design, tuple(values.tolist()), rank_in_null(size, sizes), len(rows))
