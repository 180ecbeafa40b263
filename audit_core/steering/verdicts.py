"""The verdict on a direction beside prompting, DiffMean and random directions, and the choice of a strength."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import LEVEL, MIN_PROMPTS, Estimate
from audit_core.stats.shares import paired_difference
from audit_core.steering.conditions import Outcomes
from audit_core.steering.results import (
    DELTA,
    MOST_RATIO,
    SHARE,
    WORSE_RATIO,
    Difference,
    Method,
    SteeringVerdict,
)

ALPHA = 0.05
RATIO = "times the perplexity"
Array = NDArray[np.float64]


def choose_strength(found: Sequence[Outcomes], unedited: Outcomes, concept: int) -> int:
    """Number of the condition to measure: the highest concept score, then the highest log-probability, among those whose
    perplexity is at most `MOST_RATIO` times that of unedited continuations; without one, the first.

    Args:
        found: conditions of one method on the choosing prompts, weakest first.
    """
    fluent = [
        at for at, one in enumerate(found) if float((one.loss - unedited.loss).mean()) <= log(MOST_RATIO)
    ]  # fmt: skip
    # The weakest of equals, so that nothing is added that does nothing.
    return max(fluent, key=lambda at: (found[at].holds[concept].mean(), found[at].mass[concept].mean(), -at), default=0)


def compare_perplexity(
    loss: Array, other: Array, clusters: Sequence[str], *, seed: int, level: float = LEVEL
) -> Estimate:
    """Ratio of two perplexities over the same prompts: the exponential of the mean difference of the losses."""
    found = bootstrap_mean(loss - other, clusters, unit=RATIO, seed=seed, level=level)
    return exponentiate(found)


def exponentiate(found: Estimate) -> Estimate:
    """An estimate in nats as a ratio."""
    low, high = (None if end is None else exp(end) for end in (found.low, found.high))
    return Estimate(exp(found.value), low, high, found.n, found.unit, found.level, found.templates)


def compare(
    concept: str,
    at: int,
    method: Method,
    baseline: Method,
    own: Outcomes,
    others: Sequence[Outcomes],
    clusters: Sequence[str],
    *,
    unedited: Outcomes,
    seed: int,
    level: float,
) -> Difference:
    """A direction beside a baseline, on the same prompts.

    Args:
        at: number of the concept.
        others: of the baseline; several for random directions, whose mean is taken.
    """
    scores, losses = (np.mean([getattr(one, name) for one in others], axis=0) for name in ("holds", "loss"))
    p = None
    if baseline is Method.RANDOM:
        gains = [float((one.holds[at] - unedited.holds[at]).mean()) for one in others]
        as_much = sum(gain >= float((own.holds[at] - unedited.holds[at]).mean()) for gain in gains)
        p = (1 + as_much) / (1 + len(gains))
    return Difference(
        concept=concept, method=method, baseline=baseline,
        difference=paired_difference(own.holds[at] - scores[at], SHARE, level=level),
        ratio=compare_perplexity(own.loss, losses, clusters, seed=seed, level=level), p_random=p,
    )  # fmt: skip


def judge(n: int, gains: Sequence[Estimate], beside: Sequence[Difference]) -> tuple[SteeringVerdict, str]:
    """The verdict on a direction, and why.

    *Better than the baselines*: its concept score is above that of each (the interval of every difference is above zero, and at
    most 5 % of random directions gain as much), and its perplexity is not above `WORSE_RATIO` times prompting's; *worse
    fluency*: the first holds and the second does not. *Not better*: against one baseline the whole interval of the difference is
    below `DELTA`. Else *inconclusive*; so with too few prompts, or where nothing at all raised the score.

    Args:
        n: prompts.
        gains: of every method over the unedited model, prompting and DiffMean among them: the positive control.
        beside: the direction beside each baseline.
    """
    if n < MIN_PROMPTS:
        return SteeringVerdict.INCONCLUSIVE, f"{n} prompts, {MIN_PROMPTS} needed"
    if not any(one.low is not None and one.low > 0 for one in gains):
        return SteeringVerdict.INCONCLUSIVE, "no method raised the concept score, so the test shows nothing"
    short = [one for one in beside if one.difference.high is not None and one.difference.high < DELTA]
    if short:
        names = ", ".join(one.baseline.value for one in short)
        return SteeringVerdict.NOT_BETTER, f"not above {names} by {DELTA:g}"
    open_ones = [one.baseline.value for one in beside if not _is_above(one)]
    if open_ones:
        return SteeringVerdict.INCONCLUSIVE, f"the difference from {', '.join(open_ones)} is not resolved"
    prompted = next(one for one in beside if one.baseline is Method.PROMPTING)
    if prompted.ratio.high is not None and prompted.ratio.high <= WORSE_RATIO:
        return SteeringVerdict.BETTER, ""
    if prompted.ratio.low is not None and prompted.ratio.low > WORSE_RATIO:
        return (
            SteeringVerdict.WORSE_FLUENCY,
            f"above the baselines, at {prompted.ratio.value:.1f} times prompting's perplexity",
        )
    return SteeringVerdict.INCONCLUSIVE, "above the baselines, and its fluency beside prompting's is not resolved"


def _is_above(one: Difference) -> bool:
    is_rare = one.p_random is None or one.p_random <= ALPHA
    return one.difference.low is not None and one.difference.low > 0 and is_rare
