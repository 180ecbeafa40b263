"""Verdict rule: compares intervals with a claim's smallest effect of interest and writes the finding as a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from audit_core.claim import Claim, Role
from audit_core.component import format_components
from audit_core.intervention import Replacement
from audit_core.judging.faithfulness import OVERSHOOT
from audit_core.judging.null import DRAWS
from audit_core.stats.estimates import MIN_PROMPTS, MIN_TEMPLATES, Estimate, format_estimate

RULE_VERSION = 3
"""Increase it when the rule may judge equal numbers differently; calibrations of other versions are not used."""
RANGE_VERSION = 1
"""Version of the check of ranges (decision 50). It needs a number that earlier results lack, so equal numbers still give equal
verdicts, and a result without that number was judged without the check."""


AGREEMENT = 0.5
"""Smallest fraction of the primary estimate that an undecided family may have without contradicting it."""
RARE_TEMPLATE = 0.1
"""Fraction of templates that a negligible verdict states its chance to have missed."""
MOST_SHIFT = 5.0
"""Maximum distribution shift, in standard deviations of unedited runs."""


class State(StrEnum):
    """State of a verdict."""

    SUPPORTED = "supported"
    """The whole interval lies above δ."""
    NEGLIGIBLE = "negligible"
    """The whole interval lies between −δ and δ: smaller than the smallest effect of interest."""
    REVERSED = "reversed"
    """The whole interval lies below −δ: the components act against the answer."""
    INCONCLUSIVE = "inconclusive"
    """None of these; the reason says why."""


REASONS = {
    "low_power": f"fewer than {MIN_PROMPTS} prompts or {MIN_TEMPLATES} templates",
    "straddles_delta": "the interval includes the smallest effect of interest",
    "report_too_long": "it is decided alone, but not after correction for the number of claims in its report",
    "null_not_beaten": "random sets of the same size do as much",
    "no_null": "the model has too few other sets of this shape for a random baseline",
    "ablations_disagree": "another ablation family gives a different result",
    "templates_differ": "the average is small, but in at least one template the effect is not",
    "one_family": "only one ablation family could be measured",
    "model_fails_task": "the model does not do the task well enough",
    "control_failed": "an instrument check failed",
    "unstable": "another sample of prompts gives other components",
    "off_distribution": "the intervention moved activations outside their usual distribution",
    "not_routed": "the router sends no token of these prompts to the experts",
    "not_active": "the features are active on no token of these prompts",
    "no_source": "the prompt does not contain the source token",
}
"""Machine-readable reason of an inconclusive verdict → its text."""
RESERVED_REASONS = frozenset({"unstable"})
"""Reasons that the rule does not return, kept for stored verdicts."""


@dataclass(frozen=True)
class Verdict:
    """Finding about a claim, under the conditions of the claim."""

    state: State
    reason: str | None
    sentence: str


def classify(estimate: Estimate, delta: float, *, narrow: Estimate | None = None) -> State:
    """The region rule of methods 1.3.

    Args:
        estimate: with its interval at level 1 − α.
        narrow: the same at level 1 − 2α: two one-sided tests for "smaller than δ".
    """
    if estimate.low is None or estimate.high is None:
        return State.INCONCLUSIVE
    inner = narrow or estimate
    if estimate.low > delta:
        return State.SUPPORTED
    if estimate.high < -delta:
        return State.REVERSED
    if inner.low is not None and inner.high is not None and -delta < inner.low and inner.high < delta:
        return State.NEGLIGIBLE
    return State.INCONCLUSIVE


def judge(
    claim: Claim,
    families: Mapping[Replacement, Estimate],
    states: Mapping[Replacement, State],
    *,
    narrow: Estimate,
    p_null: float | None,
    alpha: float,
    n_sets: int = DRAWS,
    shift: Estimate | None = None,
    templates: Sequence[Estimate] = (),
    in_range: tuple[State, Estimate] | None = None,
) -> Verdict:
    """Apply the verdict rule to the measurements of a claim.

    Args:
        families: estimate per ablation family at level 1 − α, including the claim's own ablation.
        states: state of each family by its interval alone, from `classify`.
        narrow: estimate of the claim's own ablation at level 1 − 2α, used for "negligible".
        p_null: share of random sets that do as much; None without draws.
        alpha: maximum of `p_null` for "supported".
        n_sets: number of random sets that exist, at most `DRAWS`: `p_null` cannot go below 1 / (n_sets + 1).
        shift: deviation of the residual norm under the claim's own ablation, in standard deviations of unedited runs;
            None if unknown.
        templates: estimate of each template with simultaneous intervals, used for "negligible".
        in_range: the claim's own ablation with later neurons kept within their usual range (see `usual_range`), judged like
            another ablation family; None if not measured.
    """
    primary = families[claim.ablation]
    if primary.n < MIN_PROMPTS or (primary.templates or 0) < MIN_TEMPLATES:
        return Verdict(State.INCONCLUSIVE, "low_power", _sentence(claim, primary, State.INCONCLUSIVE, "low_power"))
    if shift is not None and abs(shift.value) > MOST_SHIFT:
        return Verdict(State.INCONCLUSIVE, "off_distribution", _leave(claim, primary, shift))
    state, reason = states[claim.ablation], None
    if state is State.INCONCLUSIVE:
        reason = "straddles_delta"
    if state is not State.INCONCLUSIVE:
        if len(families) < 2:
            state, reason = State.INCONCLUSIVE, "one_family"
        elif any(_contradicts(claim, state, states[other], families[other], primary) for other in families):
            state, reason = State.INCONCLUSIVE, "ablations_disagree"
    if in_range and state in (State.SUPPORTED, State.REVERSED) and _is_lost_in_range(claim, state, *in_range, primary):
        return Verdict(State.INCONCLUSIVE, "off_distribution", _leave_range(claim, primary, in_range[1]))
    if state is State.NEGLIGIBLE and (beyond := find_beyond(templates, claim.delta)):
        return Verdict(State.INCONCLUSIVE, "templates_differ", _differ(claim, narrow, templates, beyond))
    if state is State.SUPPORTED and 1 / (n_sets + 1) > alpha:
        return Verdict(State.INCONCLUSIVE, "no_null", _lack_null(claim, primary, n_sets, alpha))
    if state is State.SUPPORTED and (p_null is None or p_null > alpha):
        state, reason = State.INCONCLUSIVE, "null_not_beaten"
    shown = narrow if state is State.NEGLIGIBLE else primary
    return Verdict(state, reason, _sentence(claim, shown, state, reason, families, states))


def find_beyond(templates: Sequence[Estimate], delta: float) -> tuple[Estimate, ...]:
    """Templates whose own interval lies beyond the smallest effect of interest, in either direction."""
    return tuple(
        estimate
        for estimate in templates
        if estimate.low is not None and estimate.high is not None and (estimate.low > delta or estimate.high < -delta)
    )


def _contradicts(claim: Claim, state: State, other: State, estimate: Estimate, primary: Estimate) -> bool:
    """Whether a family contradicts a state, by its interval or, if that decides nothing, by the size of its estimate.

    A family that is decided the same way agrees. Otherwise its estimate must be at least half the primary one and its
    interval must reach δ: a head that only matters where replacing it creates an unusual input has a family near zero.
    """
    if other is not State.INCONCLUSIVE:
        return other is not state
    if state is State.NEGLIGIBLE:
        return abs(estimate.value) >= claim.delta
    value, whole, reach = estimate.value, primary.value, estimate.high
    if state is State.REVERSED:
        value, whole, reach = -value, -whole, None if estimate.low is None else -estimate.low
    return value < AGREEMENT * whole or (reach is not None and reach < claim.delta)


def _is_lost_in_range(claim: Claim, state: State, other: State, estimate: Estimate, primary: Estimate) -> bool:
    """Whether keeping later neurons in range contradicts a state, or leaves less than half of the effect.

    The half counts here even where what is left is decided the same way: the sentence states the size of the whole effect.
    """
    sign = -1 if state is State.REVERSED else 1
    is_small = sign * estimate.value < AGREEMENT * sign * primary.value
    return is_small or _contradicts(claim, state, other, estimate, primary)


def refuse_verdict(claim: Claim, reason: str, detail: str) -> Verdict:
    """A verdict without a number: the claim could not be tested."""
    return Verdict(State.INCONCLUSIVE, reason, f"Not tested: {detail}")


def _sentence(
    claim: Claim,
    estimate: Estimate,
    state: State,
    reason: str | None,
    families: Mapping[Replacement, Estimate] | None = None,
    states: Mapping[Replacement, State] | None = None,
) -> str:
    parts, number = _name(claim), format_estimate(estimate)
    delta, verb = f"{claim.delta:g}", "carries" if len(claim.components) == 1 else "carry"
    if reason == "low_power":
        least = f"{MIN_PROMPTS} prompts over {MIN_TEMPLATES} templates"
        return f"Shown on n = {estimate.n}, too few for a verdict ({least} needed): {_measured(claim, estimate)}."
    if reason == "ablations_disagree" and states is not None and families is not None:
        by_family = "; ".join(
            f"{family}: {found}, {families[family].value:.2f}" for family, found in sorted(states.items())
        )
        return f"Inconclusive: ablation families disagree ({by_family}); {_measured(claim, estimate)}."
    if reason == "one_family":
        return f"Inconclusive: only one ablation family could be measured; {_measured(claim, estimate)}."
    if reason == "null_not_beaten":
        what = "do as much" if claim.role is Role.NECESSARY else "come as close to the whole model"
        return f"Inconclusive: too many random sets of the same shape {what}; {_measured(claim, estimate)}."
    if reason == "straddles_delta":
        return f"Inconclusive: the interval includes {_included(claim, estimate):g}, the smallest effect of interest; {_measured(claim, estimate)}."
    them, act = ("it", "acts") if len(claim.components) == 1 else ("them", "act")
    if claim.role is Role.NECESSARY:
        return {
            State.SUPPORTED: f"On these prompts the model relies on {parts}: replacing {them} costs {number}, more than the smallest effect of interest, {delta}."
            + _quote_smallest(families)
            + (
                f" This exceeds ablating everything (above {OVERSHOOT}): components that act against the answer remain."
                if estimate.value > OVERSHOOT
                else ""
            ),
            State.NEGLIGIBLE: f"{parts} {verb} less than {delta} of the gap, the smallest effect of interest: {_measured(claim, estimate)}.{_quote_missed(estimate)}",
            State.REVERSED: f"{parts} {act} against the answer: replacing {them} gains more than {delta} of the gap; {_measured(claim, estimate)}.",
        }[state]
    flag = (
        f" This exceeds the whole model (above {OVERSHOOT}): a component that acts against the answer is missing."
        if estimate.value > OVERSHOOT
        else ""
    )
    return {
        State.SUPPORTED: f"{parts} alone kept {number}, more than {delta}, the bound for sufficiency.{_quote_smallest(families)}{flag}",
        State.NEGLIGIBLE: f"{parts} alone kept {number}, less than {delta}, the bound for sufficiency.",
        State.REVERSED: f"{parts} alone reversed the preference for the answer: {number}.",
    }[state]


def _quote_smallest(families: Mapping[Replacement, Estimate] | None) -> str:
    if families is None or len(families) < 2:
        return ""
    family, least = min(families.items(), key=lambda item: item[1].value)
    return f" Its smallest ablation family is {family}, at {format_estimate(least)}."


def _quote_missed(estimate: Estimate) -> str:
    missed = (1 - RARE_TEMPLATE) ** (estimate.templates or estimate.n)
    return f" A kind of template that is one in ten would be absent from {missed:.0%} of samples of this size."


def _differ(claim: Claim, estimate: Estimate, templates: Sequence[Estimate], beyond: Sequence[Estimate]) -> str:
    furthest = max(beyond, key=lambda found: abs(found.value))
    return (
        f"Inconclusive: in {len(beyond)} of {len(templates)} templates the effect lies beyond {claim.delta:g}, the smallest "
        f"effect of interest, at most {format_estimate(furthest)}; over all, {_measured(claim, estimate)}."
    )


def _lack_null(claim: Claim, estimate: Estimate, n_sets: int, alpha: float) -> str:
    others = "no other set of this shape exists" if not n_sets else f"only {n_sets} other sets of this shape exist"
    return (
        f"Inconclusive: {others}, so that the lowest possible p is 1/{n_sets + 1}, and {alpha:.3g} is needed; "
        f"{_measured(claim, estimate)}."
    )


def _leave(claim: Claim, estimate: Estimate, shift: Estimate) -> str:
    return (
        f"Inconclusive: the intervention shifts the residual stream's norm by {shift.value:+.1f} standard deviations from "
        f"unedited runs, {MOST_SHIFT:g} allowed; {_measured(claim, estimate)}."
    )


def _leave_range(claim: Claim, estimate: Estimate, within: Estimate) -> str:
    return (
        "Inconclusive: most of the effect needs neuron activations that no unedited prompt gives. With neurons of later MLPs "
        f"kept within their range on these prompts it is {format_estimate(within)}; without that, {_measured(claim, estimate)}."
    )


def _included(claim: Claim, estimate: Estimate) -> float:
    """The bound inside the interval: −δ where the interval has only that one."""
    is_above = estimate.high is not None and estimate.high >= claim.delta
    return claim.delta if is_above or claim.role is not Role.NECESSARY else -claim.delta


def _measured(claim: Claim, estimate: Estimate) -> str:
    if claim.role is not Role.NECESSARY:
        return f"with all other {claim.universe} replaced, {_name(claim)} alone kept {format_estimate(estimate)}"
    how = "set to zero" if claim.ablation is Replacement.ZERO else "replaced"
    moved = f"fell by {format_estimate(estimate)}"
    if estimate.value < 0:
        low, high = (None if end is None else -end for end in (estimate.high, estimate.low))
        moved = f"rose by {format_estimate(replace(estimate, value=-estimate.value, low=low, high=high))}"
    return f"with {_name(claim)} {how}, the metric {moved}"


def _name(claim: Claim) -> str:
    if len(claim.components) <= 4:
        return format_components(claim.components)
    return f"this set of {len(claim.components)} components"
