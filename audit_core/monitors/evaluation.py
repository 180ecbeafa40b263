"""What a monitor and its output-only baselines find at one false-alarm rate, on texts that neither was set on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from audit_core.monitors.calibration import RateBound, Threshold, set_threshold
from audit_core.monitors.scoring import OutputSignal, TextRule
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import LEVEL, MIN_PROMPTS, Estimate
from audit_core.stats.shares import share_by_cluster, wilson

Array = NDArray[np.float64]
SHARE_OF_CASES, SHARE_OF_NORMAL = "share of cases", "share of normal texts"


@dataclass(frozen=True, eq=False)
class Series:
    """Token scores of one signal on the three parts."""

    calibration: tuple[Array, ...]
    test: tuple[Array, ...]
    cases: tuple[Array, ...]
    onsets: tuple[int | None, ...]
    """Of the cases."""
    groups: tuple[str, ...] = ()
    """Of the third part; empty: each text is its own."""


@dataclass(frozen=True)
class Found:
    """What one signal finds."""

    threshold: Threshold
    false_alarms: Estimate
    """On the third part."""
    detection: Estimate | None
    """Share of the cases with an alarm at or after the onset; None without cases."""
    delay: Estimate | None
    """Tokens from the onset to the alarm, over the detected cases; None with fewer than 20, or where an
    alarm or a case has no token."""


@dataclass(frozen=True)
class Baseline:
    """An output-only signal at the monitor's false-alarm rate."""

    signal: OutputSignal
    found: Found


@dataclass(frozen=True, eq=False)
class Hits:
    """Case by case: whether it was found, and after how many tokens."""

    is_found: NDArray[np.bool_]
    delays: Array
    """NaN where there is none; shape (case,)."""


def evaluate(series: Series, rule: TextRule, rate: float, rate_bound: RateBound, *, seed: int) -> tuple[Found, Hits]:
    """Set the threshold on the second part, and count on the third and on the cases.

    Raises:
        Refused: too few calibration texts, or no third part.
    """
    threshold = set_threshold(np.array([rule.score(one) for one in series.calibration]), rate, rate_bound)
    alarms = [rule.find_alarm(one, threshold.value) is not None for one in series.test]
    false_alarms = share_false(alarms, series.groups)
    ats = [
        rule.find_alarm(one, threshold.value, since=onset or 0)
        for one, onset in zip(series.cases, series.onsets, strict=True)
    ]
    hits = Hits(
        np.array([at is not None for at in ats], bool),
        np.array(
            [
                np.nan if at is None or onset is None or not rule.has_time else at - onset
                for at, onset in zip(ats, series.onsets)
            ]
        ),
    )
    detection = wilson(int(hits.is_found.sum()), len(ats), SHARE_OF_CASES) if ats else None
    return Found(threshold, false_alarms, detection, mean_delay(hits.delays, seed=seed)), hits


def share_false(alarms: Sequence[bool], groups: Sequence[str]) -> Estimate:
    """Share of normal texts with an alarm; texts of one group are one cluster."""
    if not 2 <= len(set(groups)) < len(groups):
        return wilson(sum(alarms), len(alarms), SHARE_OF_NORMAL)
    return share_by_cluster(alarms, groups, SHARE_OF_NORMAL)


def mean_delay(delays: Array, *, seed: int) -> Estimate | None:
    """Mean over the cases that have a delay, in tokens; None with fewer than 20; no interval where all are equal."""
    known = delays[np.isfinite(delays)]
    if known.size < MIN_PROMPTS:
        return None
    if np.ptp(known) == 0:
        # A resample of equal numbers has no spread, and says nothing of the next case.
        return Estimate(float(known[0]), None, None, known.size, "tokens", None)
    return bootstrap_mean(known, [str(at) for at in range(known.size)], unit="tokens", seed=seed)


def compare_detection(first: Hits, second: Hits) -> Estimate:
    """Detection rate of the first minus that of the second, on the same cases.

    Source: Agresti and Min 2005, Statistics in Medicine 24 (half a case added to each cell), for paired shares.
    """
    from scipy.stats import norm

    n = len(first.is_found)
    only_first = int((first.is_found & ~second.is_found).sum()) + 0.5
    only_second = int((~first.is_found & second.is_found).sum()) + 0.5
    total = n + 2
    centre = (only_first - only_second) / total
    half = (
        float(norm.ppf((1 + LEVEL) / 2))
        * sqrt(only_first + only_second - (only_first - only_second) ** 2 / total)
        / total
    )
    value = float(first.is_found.mean() - second.is_found.mean())
    return Estimate(
        value, max(-1.0, centre - half), min(1.0, centre + half), n, "difference of the shares of cases", LEVEL
    )


def compare_delays(first: Hits, second: Hits, *, seed: int) -> Estimate | None:
    """Tokens by which the first is earlier, over the cases that both detect; None with fewer than 20."""
    lead = second.delays - first.delays
    found = mean_delay(lead, seed=seed)
    return None if found is None else Estimate(
        found.value, found.low, found.high, found.n, "tokens earlier", found.level, found.templates
    )  # fmt: skip


def measure_auroc(normal: Sequence[float], cases: Sequence[float]) -> float:
    """Share of pairs of a case and a normal text in which the case has the higher score; ties count half."""
    one, other = np.asarray(cases)[:, None], np.asarray(normal)[None]
    return float((one > other).mean() + (one == other).mean() / 2)
