"""The threshold of a monitor by split conformal prediction, and the bound of the false-alarm rate for this calibration set."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, log

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import Refused
from audit_core.stats.estimates import LEVEL

Array = NDArray[np.float64]
LOWEST_RATE, HIGHEST_RATE = 0.001, 0.5


class RateBound(StrEnum):
    """What the stated false-alarm rate bounds."""

    AVERAGE = "average"
    """The rate on average over calibration sets."""
    THIS_SET = "this_set"
    """The rate of this calibration set, with a confidence of 95 %."""


@dataclass(frozen=True)
class Threshold:
    """An alarm is a score above `value`."""

    value: float
    rate: float
    """The stated false-alarm rate, per text."""
    rate_bound: RateBound
    n: int
    """Calibration texts."""
    rank: int
    """Place of the threshold among the ordered calibration scores, from 1."""
    expected: float
    """False-alarm rate on average over calibration sets: (n + 1 − rank) / (n + 1)."""
    bound: float
    """Upper limit of the false-alarm rate of this calibration set, with a confidence of 95 %."""


def count_needed(rate: float, rate_bound: RateBound) -> int:
    """Fewest calibration texts for a rate.

    Example:
        >>> count_needed(0.01, RateBound.AVERAGE), count_needed(0.01, RateBound.THIS_SET)
        (99, 299)
    """
    if rate_bound is RateBound.AVERAGE:
        return ceil(1 / rate - 1 - 1e-9)
    return ceil(log(1 - LEVEL) / log(1 - rate) - 1e-9)


def check_rate(rate: float) -> None:
    """Raises:
    Refused: the rate is outside the permitted range.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise Refused(
            f"A false-alarm rate of {rate:g}.", wanted=f"{LOWEST_RATE:g} to {HIGHEST_RATE:g}.", remedy="choose another."
        )


def set_threshold(scores: Array, rate: float, rate_bound: RateBound) -> Threshold:
    """The lowest threshold whose false-alarm rate is bounded.

    Average: the ⌈(n + 1)(1 − rate)⌉-th calibration score. This set: the lowest one for which the 95 % quantile of
    Beta(n + 1 − rank, rank), the law of the rate above an ordered score, is at most the rate.

    Args:
        scores: one per calibration text of normal traffic, exchangeable with what comes; shape (text,).

    Raises:
        Refused: too few texts for this rate, with the number that is needed; or a rate outside the range.

    Source: Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random World; Vovk 2012, arXiv:1209.2673, proposition 2a.
    """
    from scipy.stats import beta

    check_rate(rate)
    n, needed = len(scores), count_needed(rate, rate_bound)
    if n < needed:
        raise Refused(
            f"{n} calibration texts.", wanted=f"{needed} or more for a false-alarm rate of {rate:g} ({rate_bound.value}).",
            remedy="give more normal texts, or state a higher rate.",
        )  # fmt: skip
    rank = ceil((n + 1) * (1 - rate) - 1e-9)
    if rate_bound is RateBound.THIS_SET:
        ranks = np.arange(1, n + 1)
        rank = int(ranks[beta.ppf(LEVEL, n + 1 - ranks, ranks) <= rate + 1e-12][0])
    bound = float(beta.ppf(LEVEL, n + 1 - rank, rank))
    return Threshold(float(np.sort(scores)[rank - 1]), rate, rate_bound, n, rank, (n + 1 - rank) / (n + 1), bound)


def find_p_values(calibration: Array, scores: Array) -> Array:
    """Conformal p-value of each score, for scores that are too high or too low; shape (text,).

    Ties count against an alarm: p = min(1, 2 · min(1 + #{c ≥ s}, 1 + #{c ≤ s}) / (n + 1)).
    """
    ordered, n = np.sort(calibration), len(calibration)
    above = n - np.searchsorted(ordered, scores, side="left")
    below = np.searchsorted(ordered, scores, side="right")
    found: Array = np.minimum(1.0, 2 * (1 + np.minimum(above, below)) / (n + 1))
    return found
