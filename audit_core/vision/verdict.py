"""The verdict on a region, from its causal test alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audit_core.judging.verdict import State, Verdict, classify
from audit_core.stats.estimates import MIN_PROMPTS, Estimate, format_estimate
from audit_core.vision.region_test import MOVE, REMOVE, REST, SWAP

ALPHA = 0.05
WORDS = {
    State.SUPPORTED: "Supported: the model relies on the region",
    State.NEGLIGIBLE: "Not supported: the model does not rely on the region",
    State.REVERSED: "Reversed: the region acts against the answer",
    State.INCONCLUSIVE: "Inconclusive",
}
"""What each state says."""


@dataclass(frozen=True, kw_only=True)
class RegionEvidence:
    """What the verdict rests on; effects are fractions of the logit difference."""

    effects: Mapping[str, Estimate]
    """One for every change, at 95 %."""
    narrow: Estimate
    """That of the swap at 90 %: two one-sided tests for a negligible effect."""
    smallest: float
    """Smallest effect of interest."""
    p_null: float
    n_places: int
    does_task: bool


def judge_region(found: RegionEvidence) -> Verdict:
    """The swap decides; removal and move may contradict it, and a null or positive control may take it away.

    Only SUPPORTED needs the null: with `n_places` places, p cannot go below 1 / (n_places + 1).
    """
    swap = found.effects[SWAP]
    if swap.n < MIN_PROMPTS:
        return _leave("low_power", f"{swap.n} images, and {MIN_PROMPTS} are needed", swap)
    if not found.does_task:
        return _leave("model_fails_task", "the model does not prefer the right class on these images", swap)
    state = classify(swap, found.smallest, narrow=found.narrow)
    if state is State.INCONCLUSIVE:
        return _leave(
            "straddles_delta", f"the interval includes {found.smallest:g}, the smallest effect of interest", swap
        )
    if other := _find_contradiction(state, found):
        return _leave("ablations_disagree", f"{other} gives another result ({_tell(found.effects[other])})", swap)
    if state is State.NEGLIGIBLE and classify(found.effects[REST], found.smallest) is not State.SUPPORTED:
        return _leave("control_failed", "emptying everything else changes nothing either", swap)
    if state is State.SUPPORTED and 1 / (found.n_places + 1) > ALPHA:
        return _leave("no_null", f"only {found.n_places} other places have this size", swap)
    if state is State.SUPPORTED and found.p_null > ALPHA:
        return _leave("null_not_beaten", f"the same swap elsewhere does as much (p = {found.p_null:.3f})", swap)
    return Verdict(state, None, _finish(state, found))


def _find_contradiction(state: State, found: RegionEvidence) -> str:
    """The change whose interval decides otherwise, or whose value is beyond the smallest effect where the swap is negligible."""
    for name in (REMOVE, MOVE):
        other = found.effects[name]
        decided = classify(other, found.smallest)
        if decided not in (State.INCONCLUSIVE, state):
            return name
        if state is State.NEGLIGIBLE and abs(other.value) >= found.smallest:
            return name
    return ""


def _finish(state: State, found: RegionEvidence) -> str:
    swap = found.narrow if state is State.NEGLIGIBLE else found.effects[SWAP]
    text = f"{WORDS[state]}. Swapping it changes {_tell(swap)}"
    if state is State.NEGLIGIBLE:
        return f"{text}, less than {found.smallest:g}, the smallest effect of interest."
    beaten = f"the same swap at {found.n_places} other places gives p = {found.p_null:.3f}"
    return f"{text}, more than {found.smallest:g}, the smallest effect of interest; {beaten}."


def _leave(reason: str, why: str, swap: Estimate) -> Verdict:
    sentence = f"{WORDS[State.INCONCLUSIVE]}: {why}. Swapping the region changes {_tell(swap)}."
    return Verdict(State.INCONCLUSIVE, reason, sentence)


def _tell(estimate: Estimate) -> str:
    return format_estimate(estimate)
