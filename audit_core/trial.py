"""A claim's trial: every run that its verdict rests on, and the verdict that follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audit_core.claim import Claim, Role
from audit_core.component import Kind
from audit_core.drift import average_shift, measure_norm_shift
from audit_core.effect import Effect, check_gap
from audit_core.errors import ControlFailed, NotMeasured
from audit_core.faithfulness import CircuitEffect, CircuitRuns, estimate_faithfulness, list_universe, plan_circuit
from audit_core.intervention import Direction, Intervention, Replacement, intervene
from audit_core.multiplicity import rank_in_null
from audit_core.null import Null, draw_null, plan_remainders, plan_removals
from audit_core.statistics import Estimate
from audit_core.subject import Subject
from audit_core.verdict import State, Verdict, classify, judge, refuse_verdict

FAMILIES = (Replacement.RESAMPLE, Replacement.MEAN, Replacement.ZERO)
"""All three always run: where they disagree, that is the finding (methods, decision 4)."""


@dataclass(frozen=True, eq=False)
class TrialPlan:
    """The interventions of a trial, in the order in which they are measured."""

    families: Mapping[Replacement, CircuitRuns]
    floor: Intervention
    """All that enters the first block replaced: must give the corrupted run, and is a cause for certain."""
    denoised: Intervention
    """The components alone restored in the corrupted run."""
    null: Null
    draws: tuple[Intervention, ...]

    def find_judged(self, role: Role) -> Mapping[Replacement, Intervention]:
        """Per family the run that speaks for or against the claim."""
        return {f: run.without if role is Role.NECESSARY else run.alone for f, run in self.families.items()}

    def list_all(self) -> tuple[Intervention, ...]:
        families = [run for runs in self.families.values() for run in runs.as_tuple()]
        return (*families, self.floor, self.denoised, *self.draws)

    def without_draws(self) -> TrialPlan:
        """The same without a null: for what its own interval may already decide."""
        none = replace(self.null, design="the interval alone rules support out, so none were drawn")
        return replace(self, draws=(), null=none if self.draws else self.null)


def plan_trial(subject: Subject, claim: Claim, measure_sizes: Callable[[], Sequence[float]], *, seed: int) -> TrialPlan:
    """Which runs a claim is judged by.

    Args:
        measure_sizes: how far the claim's replacement moves each component's output, one per component; asked for only
            where the null pushes.
        seed: of the null's draws.
    """
    universe = list_universe(subject, claim.universe)
    widths = [
        subject.geometry.d_head if part.kind is Kind.HEAD else subject.geometry.d_model for part in claim.components
    ]
    null = draw_null(claim.components, universe, widths, can_push=claim.role is Role.NECESSARY, seed=seed)
    sizes = measure_sizes() if null.directions else ()
    draws = (
        plan_removals(null, claim.ablation, sizes)
        if claim.role is Role.NECESSARY
        else plan_remainders(null, universe, claim.ablation)
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
    """Metric per prompt of every run; each array's last axis is prompt; in the metric's unit."""

    claim: Claim
    corrupted: NDArray[np.float64]
    families: Mapping[Replacement, CircuitEffect]
    denoised: NDArray[np.float64]
    shifts: Mapping[Replacement, NDArray[np.float64]]
    """Of each family's judged run, as `drift.measure_norm_shift` gives them."""
    null: NDArray[np.float64]
    """Shape (draw, prompt); no draws where the model is too small for any."""
    design: str
    clusters: tuple[str, ...]
    unit: str
    """Of the metric."""

    @property
    def clean(self) -> NDArray[np.float64]:
        return self.families[self.claim.ablation].clean

    def take(self, prompts: Sequence[int]) -> Trial:
        """The trial as it would have been on some of its prompts."""
        at = np.asarray(prompts)
        clusters = tuple(self.clusters[i] for i in prompts)
        families = {
            family: CircuitEffect(e.clean[at], e.without[at], e.alone[at], e.empty[at], clusters)
            for family, e in self.families.items()
        }
        return replace(
            self,
            corrupted=self.corrupted[at],
            families=families,
            denoised=self.denoised[at],
            shifts={family: shift[at] for family, shift in self.shifts.items()},
            null=self.null[:, at],
            clusters=clusters,
        )


def read_trial(claim: Claim, plan: TrialPlan, effect: Effect) -> Trial:
    """Put measured runs in their places.

    Raises:
        ControlFailed: replacing all that enters the model did not give the corrupted run.
    """
    rows, clusters = iter(effect.patched), effect.prompts.templates
    families = {
        family: CircuitEffect(effect.clean, next(rows), next(rows), next(rows), clusters) for family in plan.families
    }
    floor, denoised = next(rows), next(rows)
    missed = float(np.abs(floor - effect.corrupted).max())
    if not missed <= effect.controls.tolerance:
        raise ControlFailed(
            f"With all that enters the first block replaced, the metric misses the corrupted run's by {missed:.3g}."
        )
    null = np.array(list(rows)).reshape(len(plan.draws), len(effect.clean))
    judged = {family: effect.interventions.index(run) for family, run in plan.find_judged(claim.role).items()}
    shifts = measure_norm_shift(effect, judged)
    return Trial(claim, effect.corrupted, families, denoised, shifts, null, plan.null.design, clusters, effect.unit)


@dataclass(frozen=True)
class NullFinding:
    """The claim's effect among what random sets of its shape do."""

    design: str
    values: tuple[float, ...]
    """Effect of each draw, on the claim's scale."""
    p: float | None
    """Share that does as much, the claim itself counted; None without draws."""


@dataclass(frozen=True)
class Judgement:
    """A verdict with everything it was derived from."""

    verdict: Verdict
    families: Mapping[Replacement, Estimate]
    states: Mapping[Replacement, State]
    """What each ablation family says by its interval alone."""
    not_measured: Mapping[Replacement, str]
    null: NullFinding | None
    shifts: Mapping[Replacement, Estimate]
    """How far each family's judged run leaves the unedited ones."""


def judge_trial(trial: Trial, *, seed: int, alpha: float | None = None) -> Judgement:
    """Apply the rule of `verdict.judge` to a trial.

    Args:
        alpha: level of the null's p, allowing for other claims of the same report; the claim's own unless given.
    """
    claim = trial.claim
    wide, narrow, refused = {}, {}, {}
    for family, circuit in trial.families.items():
        try:
            wide[family] = estimate_faithfulness(circuit, claim.role, seed=seed, level=1 - claim.alpha)
            narrow[family] = estimate_faithfulness(circuit, claim.role, seed=seed, level=1 - 2 * claim.alpha)
        except NotMeasured as error:
            refused[family] = error.detail
    null = _place_in_null(trial, wide[claim.ablation].value) if claim.ablation in wide else None
    states = {family: classify(wide[family], claim.delta, narrow=narrow[family]) for family in wide}
    shifts = {family: average_shift(shift, trial.clusters, seed=seed) for family, shift in trial.shifts.items()}
    try:
        check_gap(trial.clean, trial.corrupted, trial.unit)
    except NotMeasured as error:
        return Judgement(refuse_verdict(claim, error.reason, error.detail), wide, states, refused, null, shifts)
    if claim.ablation in refused:
        return Judgement(
            refuse_verdict(claim, "control_failed", refused[claim.ablation]), wide, states, refused, null, shifts
        )
    verdict = judge(
        claim,
        wide,
        states,
        n_templates=len(set(trial.clusters)),
        p_null=None if null is None else null.p,
        alpha=claim.alpha if alpha is None else alpha,
        shift=shifts.get(claim.ablation),
    )
    return Judgement(verdict, wide, states, refused, null, shifts)


def _place_in_null(trial: Trial, value: float) -> NullFinding:
    """Where the claim stands among its draws: by size of effect, or, for sufficiency, by closeness to the whole model."""
    circuit, necessary = trial.families[trial.claim.ablation], trial.claim.role is Role.NECESSARY
    gap = float((circuit.clean - circuit.empty).mean())
    shift = circuit.clean[None] - trial.null if necessary else trial.null - circuit.empty[None]
    values = shift.mean(1) / gap
    if not values.size:
        return NullFinding(trial.design, (), None)
    size, sizes = (abs(value), np.abs(values)) if necessary else (-abs(1 - value), -np.abs(1 - values))
    return NullFinding(trial.design, tuple(values.tolist()), rank_in_null(size, sizes))
