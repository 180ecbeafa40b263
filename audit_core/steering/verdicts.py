"""The verdict on a direction beside prompting, DiffMean and random directions, and the choice of a strength."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import LEVEL, MIN_PROMPTS, Estimate
from audit_core.stats.multiplicity import adjust_by_holm
from audit_core.stats.shares import p_above, paired_difference
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


def find_p(own: Outcomes, others: Sequence[Outcomes], concept: int) -> float:
    """P-value of a direction's concept score being above a baseline's, on the same prompts; see `p_above`."""
    return p_above(own.holds[concept] - np.mean([one.holds[concept] for one in others], axis=0))


def compare(
    concept: str,
    at: int,
    method: Method,
    baseline: Method,
    own: Outcomes,
    others: Sequence[Outcomes],
    clusters: Sequence[str],
    *,
    seed: int,
    level: float,
    rank: tuple[float, int] | None = None,
) -> Difference:
    """A direction beside a baseline, on the same prompts.

    Args:
        at: number of the concept.
        others: of the baseline; several for random directions, whose mean is taken.
        rank: for random directions: the share of them that score as much, and their number.
    """
    scores, losses = (np.mean([getattr(one, name) for one in others], axis=0) for name in ("holds", "loss"))
    return Difference(
        concept=concept, method=method, baseline=baseline,
        difference=paired_difference(own.holds[at] - scores[at], SHARE, level=level),
        ratio=compare_perplexity(own.loss, losses, clusters, seed=seed, level=level),
        p_random=None if rank is None else rank[0], n_random=None if rank is None else rank[1],
        p=find_p(own, others, at),
    )  # fmt: skip


def find_largest_p(beside: Sequence[Difference]) -> float:
    """P-value of being above every baseline: the largest of those beside each, and of the place among random directions.

    Source: Berger 1982, Technometrics 24 (intersection–union test).
    """
    found = [one.p for one in beside] + [one.p_random for one in beside if one.baseline is Method.RANDOM]
    return max(1.0 if one is None else one for one in found)


def is_raised(gains: Sequence[Sequence[float] | Array]) -> bool:
    """Whether anything raised the concept score, after Holm's correction for all that was tried: the positive control.

    Args:
        gains: of every method, the score minus that of the unedited model for each prompt.
    """
    return bool((adjust_by_holm([p_above(one) for one in gains]) <= ALPHA).any())


def judge(n: int, raised: bool, beside: Sequence[Difference], p_adjusted: float) -> tuple[SteeringVerdict, str]:
    """The verdict on a direction, and why.

    *Better than the baselines*: its concept score is above that of each, with p ≤ 0.05 after Holm's correction for all verdicts of
    the run, and its perplexity is not above `WORSE_RATIO` times prompting's; *worse fluency*: the first holds and the second does
    not. *Not better*: against one baseline the whole corrected interval of the difference is below `DELTA`. Else *inconclusive*;
    so with too few prompts, or where nothing at all raised the score.

    Args:
        n: prompts.
        raised: see `is_raised`; prompting and DiffMean are among what may have.
        beside: the direction beside each baseline.
        p_adjusted: of being above every baseline.
    """
    if n < MIN_PROMPTS:
        return SteeringVerdict.INCONCLUSIVE, f"{n} prompts, {MIN_PROMPTS} needed"
    if not raised:
        return SteeringVerdict.INCONCLUSIVE, "no method raised the concept score, so the test shows nothing"
    short = [one for one in beside if one.difference.high is not None and one.difference.high < DELTA]
    if short:
        names = ", ".join(one.baseline.value for one in short)
        return SteeringVerdict.NOT_BETTER, f"not above {names} by {DELTA:g}"
    if not p_adjusted <= ALPHA:
        return SteeringVerdict.INCONCLUSIVE, _say_open(beside, p_adjusted)
    prompted = next(one for one in beside if one.baseline is Method.PROMPTING)
    if prompted.ratio.high is not None and prompted.ratio.high <= WORSE_RATIO:
        return SteeringVerdict.BETTER, ""
    if prompted.ratio.low is not None and prompted.ratio.low > WORSE_RATIO:
        return (
            SteeringVerdict.WORSE_FLUENCY,
            f"above the baselines, at {prompted.ratio.value:.1f} times prompting's perplexity",
        )
    return SteeringVerdict.INCONCLUSIVE, "above the baselines, and its fluency beside prompting's is not resolved"


def _say_open(beside: Sequence[Difference], p_adjusted: float) -> str:
    """Which baselines are in the way; if none is by itself, the correction is."""
    names = [one.baseline.value for one in beside if max(one.p or 0.0, one.p_random or 0.0) > ALPHA]
    found = f"the difference from {', '.join(names)} is not resolved" if names else "above each baseline alone"
    return f"{found}; p = {p_adjusted:.2g} after correction"
