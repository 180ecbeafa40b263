"""Identification: what the causal reading of a verdict rests on, and what the run found about each assumption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from audit_core.claim import Claim, Role
from audit_core.controls import Controls
from audit_core.effect import Metric
from audit_core.intervention import Replacement
from audit_core.judging.repair import Repair
from audit_core.judging.verdict import AGREEMENT, MOST_SHIFT
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.estimates import Estimate, format_estimate


class Status(StrEnum):
    CHECKED = "checked"
    DOUBTFUL = "doubtful"
    NOT_CHECKED = "not checked"
    FOR_THE_READER = "for the reader to judge"


@dataclass(frozen=True)
class Assumption:
    """One assumption of a causal reading."""

    name: str
    rests_on: str
    """What must be true."""
    status: Status
    found: str
    """What the run measured about it."""


def list_assumptions(
    claim: Claim,
    prompts: TokenisedPrompts,
    metric: Metric,
    *,
    families: Mapping[Replacement, Estimate],
    shifts: Mapping[Replacement, Estimate],
    in_range: Mapping[Replacement, Estimate],
    no_range: str,
    controls: Controls,
    repair: Repair | None,
    accuracy: float,
) -> tuple[Assumption, ...]:
    """Name the five assumptions of a claim, each with its status; none is left out because it was not checked.

    Source: Hernán and Robins 2020, Causal Inference: What If, chapter 3 (consistency, positivity, no interference);
    Shadish, Cook and Campbell 2002, chapters 3 and 11 (construct, population).
    """
    return (
        _intervention(controls),
        _positivity(claim, families, shifts, in_range.get(claim.ablation), no_range),
        _interference(claim, repair),
        _construct(metric, accuracy, len(prompts)),
        _population(prompts),
    )


def describe_scope(prompts: TokenisedPrompts) -> str:
    """Sentence on the templates that chose the components and test them too; empty if there are none."""
    shared, known = prompts.templates_of_both, len(set(prompts.templates))
    if not shared:
        return ""
    return f"For these templates only: the exploratory split has {len(shared)} of the {known} too."


def _intervention(controls: Controls) -> Assumption:
    return Assumption(
        "intervention",
        "Each edit reaches the components that it names, and changes nothing else directly.",
        Status.CHECKED,
        f"{controls.edits} edits arrived; replacing activations by themselves moved the metric by at most "
        f"{controls.identity_max:.1g}, noise by at least {controls.noise_min:.2g}.",
    )


def _positivity(
    claim: Claim,
    families: Mapping[Replacement, Estimate],
    shifts: Mapping[Replacement, Estimate],
    in_range: Estimate | None,
    no_range: str,
) -> Assumption:
    """Length of the residual stream, and the effect without neuron values that no unedited prompt gives."""
    rests_on = "The edited activations are ones that the model could have on prompts like these."
    shift, own, found = shifts.get(claim.ablation), families.get(claim.ablation), []
    is_usual = shift is None or abs(shift.value) <= MOST_SHIFT
    if shift is None:
        found.append("The length of the residual stream is unknown.")
    else:
        found.append(f"The residual stream's length differs by {format_estimate(shift)}; {MOST_SHIFT:g} is allowed.")
    if families:
        sizes = [estimate.value for estimate in families.values()]
        found.append(f"The ablation families give {min(sizes):.2f} to {max(sizes):.2f}.")
    if in_range is None or own is None:
        found.append(f"Later neurons were not kept in their usual range: {no_range or 'not tested.'}")
    else:
        is_usual = is_usual and abs(in_range.value) >= AGREEMENT * abs(own.value)
        found.append(
            f"With later neurons kept in their usual range the effect is {format_estimate(in_range)}. Attention is not kept so."
        )
    if not is_usual:
        return Assumption("positivity", rests_on, Status.DOUBTFUL, " ".join(found))
    is_checked = shift is not None or in_range is not None
    return Assumption("positivity", rests_on, Status.CHECKED if is_checked else Status.NOT_CHECKED, " ".join(found))


def _interference(claim: Claim, repair: Repair | None) -> Assumption:
    rests_on = "No other component takes over when these are replaced."
    if claim.role is Role.SUFFICIENT:
        return Assumption(
            "no interference", rests_on, Status.NOT_CHECKED, "Backups are measured for necessary components only."
        )
    if repair is None:
        return Assumption(
            "no interference", rests_on, Status.NOT_CHECKED, "Backups are measured for single components only."
        )
    if repair.backups:
        named = ", ".join(backup.component for backup in repair.backups)
        return Assumption("no interference", rests_on, Status.DOUBTFUL, f"These take over in part: {named}.")
    if repair.is_searched:
        found = f"None of {repair.n_later} other components takes over by more than the smallest effect of interest."
        return Assumption("no interference", rests_on, Status.CHECKED, f"{found} Many may take over a little.")
    return Assumption(
        "no interference",
        rests_on,
        Status.CHECKED,
        "Freezing later components does not increase the loss, so no backup was searched for.",
    )


def _construct(metric: Metric, accuracy: float, n: int) -> Assumption:
    return Assumption(
        "construct",
        f"The metric, {metric.name} in {metric.unit}, is what a reader means by the model's answer.",
        Status.FOR_THE_READER,
        f"The model prefers the answer on {accuracy:.0%} of {n} prompts. Other metrics were not tried.",
    )


def _population(prompts: TokenisedPrompts) -> Assumption:
    rests_on = "The prompts on which the claim will be used are like these, and did not choose the components."
    size = f"{len(prompts)} prompts in {len(set(prompts.templates))} templates"
    if prompts.templates_of_both is None:
        return Assumption(
            "population", rests_on, Status.NOT_CHECKED, f"{size}, which are not one of the two splits of a set."
        )
    if scope := describe_scope(prompts):
        return Assumption("population", rests_on, Status.DOUBTFUL, f"{size}. {scope}")
    return Assumption(
        "population", rests_on, Status.CHECKED, f"{size}, none of which is a template of the exploratory split."
    )
