"""Check of ranges: how much of an effect is left if no later neuron leaves the values that it has on unedited prompts.

An ablation may create an input that no prompt gives. A later MLP can respond to it, so that a component seems to carry what
it does not, under every ablation family and at a usual length of the residual stream. Therefore each family's run is
repeated with every neuron of the MLPs that read the components kept between its smallest and its largest value on the
clean and corrupted runs of the same prompts, at all tokens. What is left is judged as another ablation family.

Attention reads the residual stream too, and is not kept in range: an artefact of attention is not found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audit_core.capability import NEURON_RANGES
from audit_core.claim import Claim, Role
from audit_core.component import Component, Kind
from audit_core.controls import NOISE_FACTOR
from audit_core.effect import Metric, measure_effect
from audit_core.errors import ControlFailed, NotMeasured
from audit_core.intervention import CLEAN_RUN, Edit, Intervention, Replacement
from audit_core.judging.trial import Trial, TrialPlan
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Means, Progress, Subject, no_progress

_AFTER_ATTENTION = frozenset((Kind.MLP, Kind.NEURON, Kind.EXPERT, Kind.SHARED))
"""Kinds that the MLP of their own layer does not read; all others act before it, in blocks where attention comes first."""


def list_readers(subject: Subject, components: Sequence[Component]) -> tuple[Component, ...]:
    """MLPs that read any of these components; without those that contain one."""
    first = min(part.layer + (part.kind in _AFTER_ATTENTION) for part in components)
    own = {part.layer for part in components if part.kind in _AFTER_ATTENTION}
    return tuple(mlp for mlp in subject.components(Kind.MLP) if mlp.layer >= first and mlp.layer not in own)


def plan_in_range(subject: Subject, claim: Claim, plan: TrialPlan) -> tuple[Intervention, ...]:
    """Each family's judged run with later neurons kept in range; then the clean run with nothing else edited.

    Returns:
        Empty if there is nothing to measure: the claim is about sufficiency, no MLP follows, or neurons cannot be read.
    """
    if claim.role is not Role.NECESSARY or NEURON_RANGES.explain_missing(subject):
        return ()
    return plan_kept(subject, claim.components, tuple(plan.find_judged(claim.role).values()))


def plan_kept(
    subject: Subject, components: Sequence[Component], runs: Sequence[Intervention]
) -> tuple[Intervention, ...]:
    """Runs with the neurons after these components kept in range; then the clean run. Empty if no MLP follows."""
    kept = tuple(Edit(mlp, Replacement.IN_RANGE) for mlp in list_readers(subject, components))
    return (*(Intervention((*run.edits, *kept), run.side) for run in runs), Intervention(kept)) if kept else ()


def measure_in_range(
    subject: Subject,
    claim: Claim,
    prompts: TokenisedPrompts,
    plan: TrialPlan,
    metric: Metric,
    *,
    means: Means | None,
    seed: int,
    on_progress: Progress = no_progress,
) -> Mapping[Replacement, NDArray[np.float64]]:
    """Metric of each family's judged run with later neurons kept in range; shape (prompt,) each.

    Raises:
        NotMeasured: nothing to measure, with the cause, or no later neuron acts on the answer.
        ControlFailed: keeping the clean run in range, where it is by definition, changed it.
    """
    runs = plan_in_range(subject, claim, plan)
    if not runs:
        raise NotMeasured("off_distribution", _explain_nothing(subject, claim))
    ranges = NEURON_RANGES.of(subject).capture_ranges(prompts)
    found = measure_kept(subject, prompts, runs, metric, means=means, ranges=ranges, seed=seed, on_progress=on_progress)
    return dict(zip(plan.families, found, strict=True))


def measure_kept(
    subject: Subject,
    prompts: TokenisedPrompts,
    runs: Sequence[Intervention],
    metric: Metric,
    *,
    means: Means | None,
    ranges: NDArray[np.floating],
    seed: int,
    on_progress: Progress = no_progress,
) -> NDArray[np.float64]:
    """Metric of runs in range; shape (run − 1, prompt).

    Args:
        runs: the last is the clean run with nothing else edited, which must not change.
        ranges: of `capture_ranges`, over the tokens that `metric` reads.

    Raises:
        NotMeasured: no later neuron acts on the answer.
        ControlFailed: keeping the clean run in range, where it is by definition, changed it.
    """
    means = replace(means or Means({}, {}), ranges=ranges)
    _check_alive(subject, prompts, runs[-1], means, seed=seed)
    effect = measure_effect(subject, prompts, runs, metric, means=means, seed=seed, on_progress=on_progress)
    moved = float(np.abs(effect.patched[-1] - effect.clean).max())
    if not moved <= effect.controls.tolerance:
        raise ControlFailed(f"Keeping the clean run within its own range changed the metric by {moved:.3g}.")
    return effect.patched[:-1]


def keep_in_range(
    subject: Subject,
    prompts: TokenisedPrompts,
    trial: Trial,
    plan: TrialPlan,
    metric: Metric,
    *,
    means: Means | None,
    seed: int,
    on_progress: Progress = no_progress,
) -> tuple[Trial, str]:
    """The trial with its judged runs repeated in range; or the trial as it is, and why they were not.

    Raises:
        ControlFailed: as `measure_in_range`.
    """
    try:
        found = measure_in_range(
            subject, trial.claim, prompts, plan, metric, means=means, seed=seed, on_progress=on_progress
        )
    except ControlFailed:
        raise
    except NotMeasured as error:
        return trial, error.detail
    return replace(trial, in_range=found), ""


def _explain_nothing(subject: Subject, claim: Claim) -> str:
    if claim.role is not Role.NECESSARY:
        return "measured for necessary components only."
    return NEURON_RANGES.explain_missing(subject) or "no MLP reads these components."


def _check_alive(subject: Subject, prompts: TokenisedPrompts, kept: Intervention, means: Means, *, seed: int) -> None:
    """Check that a range is obeyed and matters: one that lies above all values must move a logit of the first prompt.

    Raises:
        NotMeasured: it does not.
    """
    assert means.ranges is not None
    low, high = means.ranges
    above = high + (high - low) + 1
    outside = replace(means, ranges=np.stack([above, above]))
    first = replace(prompts, pairs=prompts.pairs[:1])
    logits = subject.run(first, (CLEAN_RUN, kept), means=outside, vocabulary=True, seed=seed)
    assert logits.vocabulary is not None
    moved = float(np.abs(logits.vocabulary[1] - logits.vocabulary[0]).max())
    if not moved > NOISE_FACTOR * subject.tolerance:
        raise NotMeasured("off_distribution", "the neurons of later MLPs move no logit, in range or outside.")
