"""Grades of attribution methods: what the trial on one prompt set says of each. Never a verdict on a claim."""

from __future__ import annotations

from enum import StrEnum

from audit_core.stats.estimates import MIN_PROMPTS, MIN_TEMPLATES, Estimate

BOUND = 0.5
"""Rank correlation: scores on randomised weights must agree less than this, scores under another seed more."""


class Grade(StrEnum):
    """Grade of one method on one prompt set."""

    BEATS = "beats_random"
    """Its order costs the answer more than random orders do."""
    NO_BETTER = "no_better"
    WORSE = "worse"
    UNSTABLE = "unstable_scores"
    """Another seed gives another order."""
    FAILS = "fails_randomisation"
    """It gives about the same scores when the weights are randomised."""
    NOT_JUDGED = "not_judged"


WORDS = {
    Grade.BEATS: "beats random orders",
    Grade.NO_BETTER: "no better than random orders",
    Grade.WORSE: "worse than random orders",
    Grade.UNSTABLE: "unstable over seeds",
    Grade.FAILS: "fails randomisation",
    Grade.NOT_JUDGED: "not judged",
}


def read_gain(gain: Estimate) -> Grade:
    """What the interval of a gain over random orders says alone."""
    if gain.low is None or gain.high is None:
        return Grade.NOT_JUDGED
    return Grade.BEATS if gain.low > 0 else Grade.WORSE if gain.high < 0 else Grade.NO_BETTER


def grade_method(
    deletion: Estimate, insertion: Estimate, randomised: Estimate | None, repeated: Estimate | None
) -> Grade:
    """Grade of a method: its sanity first, then its order.

    Args:
        deletion: gain in comprehensiveness over random orders, by replacement; it decides.
        insertion: gain in sufficiency; an order that is worse here does not beat random ones.
        randomised: agreement with its scores on randomised weights; None if that was not tested.
        repeated: agreement with its scores under other seeds; None if it depends on no seed.
    """
    if deletion.n < MIN_PROMPTS or (deletion.templates or 0) < MIN_TEMPLATES:
        return Grade.NOT_JUDGED
    if randomised is not None and randomised.value >= BOUND:
        return Grade.FAILS
    if repeated is not None and repeated.value <= BOUND:
        return Grade.UNSTABLE
    # Neither shown to fail nor to pass: a method does not pass for want of prompts.
    if randomised is not None and not (randomised.high is not None and randomised.high < BOUND):
        return Grade.NOT_JUDGED
    if repeated is not None and not (repeated.low is not None and repeated.low > BOUND):
        return Grade.NOT_JUDGED
    found = read_gain(deletion)
    return Grade.NO_BETTER if found is Grade.BEATS and read_gain(insertion) is Grade.WORSE else found
