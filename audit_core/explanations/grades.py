"""Grades of attribution methods: what the trial on one prompt set says of each. Never a verdict on a claim."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from audit_core.stats.estimates import MIN_PROMPTS, MIN_TEMPLATES, Estimate

BOUND = 0.5
"""Rank correlation: scores on randomised weights must agree less than this, scores under another seed more."""


MOST_SHIFT = 1.0
"""Largest shift of scores at one replaced unit, in lengths of the scores: beyond it they say something else of the same answer."""


class Grade(StrEnum):
    """Grade of one method on one prompt set."""

    BEATS = "beats_random"
    """Its order costs the answer more than random orders do."""
    NO_BETTER = "no_better"
    WORSE = "worse"
    UNSTABLE = "unstable_scores"
    """Another seed gives another order, or a prompt that differs in one unit and keeps its answer gives other scores."""
    FAILS = "fails_randomisation"
    """It gives about the same scores when the weights are randomised."""
    NOT_JUDGED = "not_judged"


WORDS = {
    Grade.BEATS: "beats random orders",
    Grade.NO_BETTER: "no better than random orders",
    Grade.WORSE: "worse than random orders",
    Grade.UNSTABLE: "unstable",
    Grade.FAILS: "fails randomisation",
    Grade.NOT_JUDGED: "not judged",
}


def read_gain(gain: Estimate) -> Grade:
    """What the interval of a gain over random orders says alone."""
    if gain.low is None or gain.high is None:
        return Grade.NOT_JUDGED
    return Grade.BEATS if gain.low > 0 else Grade.WORSE if gain.high < 0 else Grade.NO_BETTER


@dataclass(frozen=True)
class Sanity:
    """What scores agree with, and how far they move; None where a check does not apply or was not run."""

    randomised: Estimate | None = None
    """Agreement with the scores on randomised weights."""
    repeated: Estimate | None = None
    """Agreement with the scores under other seeds."""
    local: Estimate | None = None
    """Largest shift of the scores at one replaced unit that leaves the answer."""
    local_excess: Estimate | None = None
    """The same minus that of the measured effects: what the model itself does is not blamed on a method."""


def grade_method(deletion: Estimate, insertion: Estimate, sanity: Sanity) -> Grade:
    """Grade of a method: its sanity first, then its order.

    Args:
        deletion: gain in comprehensiveness over random orders, by replacement; it decides.
        insertion: gain in sufficiency; an order that is worse here does not beat random ones.
    """
    if deletion.n < MIN_PROMPTS or (deletion.templates or 0) < MIN_TEMPLATES:
        return Grade.NOT_JUDGED
    randomised, repeated = sanity.randomised, sanity.repeated
    if randomised is not None and randomised.value >= BOUND:
        return Grade.FAILS
    if (repeated is not None and repeated.value <= BOUND) or _moves(sanity, by_interval=True):
        return Grade.UNSTABLE
    # Neither shown to fail nor to pass: a method does not pass for want of prompts.
    if randomised is not None and not (randomised.high is not None and randomised.high < BOUND):
        return Grade.NOT_JUDGED
    if repeated is not None and not (repeated.low is not None and repeated.low > BOUND):
        return Grade.NOT_JUDGED
    if _moves(sanity, by_interval=False):
        return Grade.NOT_JUDGED
    found = read_gain(deletion)
    return Grade.NO_BETTER if found is Grade.BEATS and read_gain(insertion) is Grade.WORSE else found


def _moves(sanity: Sanity, *, by_interval: bool) -> bool:
    """Whether scores move by more than their own length, and more than the measured effects do."""
    shifts = (sanity.local, MOST_SHIFT), (sanity.local_excess, 0.0)
    ends = [(None if one is None else one.low if by_interval else one.value, bound) for one, bound in shifts]
    return all(end is not None and end > bound for end, bound in ends)
