"""Drift of the stream: a CUSUM of bets against conformal p-values, with its average run length simulated on calibration data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.monitors.calibration import find_p_values
from audit_core.stats.estimates import LEVEL, Estimate

Array = NDArray[np.float64]
POWER = 0.5
"""Exponent of the bet ε · p^(ε − 1), whose mean is 1 for a uniform p-value."""
_STREAMS = 200
_SPAN = 4
"""Length of a simulated stream, in target run lengths."""


@dataclass(frozen=True)
class DriftRule:
    """The calibration no longer describes the traffic once the CUSUM passes `limit`."""

    limit: float
    target: int
    """Texts between false alarms that the limit was set for."""
    run_length: Estimate
    """Average run length to a false alarm, simulated on other draws from the calibration scores; in texts."""


@dataclass(frozen=True)
class DriftFound:
    """What the rule says about a stream."""

    peak: float
    limit: float
    at: int | None
    """Text, from 1, at which the limit was passed; None if it was not."""
    total: float = 0.0
    """The sum after the last text, from which another run can go on."""


def watch_drift(calibration: Array, scores: Array, limit: float, *, start: float = 0.0) -> DriftFound:
    """Run the rule over scores in the order of the texts.

    S = max(0, S + log(ε · p^(ε − 1))), with two-sided conformal p-values; the alarm is at the first S above the limit.

    Args:
        start: the sum after earlier texts of the same stream.

    Source: Vovk, Nouretdinov and Gammerman 2003, ICML (power martingale); Page 1954 (CUSUM).
    """
    total, peak, at = start, start, None
    for number, bet in enumerate(_bet(find_p_values(calibration, scores)), start=1):
        total = max(0.0, total + float(bet))
        peak = max(peak, total)
        if at is None and total > limit:
            at = number
    return DriftFound(peak, limit, at, total)


def set_drift_rule(calibration: Array, target: int, *, seed: int) -> DriftRule:
    """The lowest limit whose simulated run length is at least the target, by the lower end of its interval.

    Each simulated stream is drawn from the calibration scores, and compared with a bootstrap sample of them: so the limit
    allows for a calibration set that describes its traffic only as well as a sample of its size does.

    Args:
        target: texts between false alarms.
    """
    draw = np.random.default_rng(seed)
    set_on, measured_on = (_simulate(calibration, target, draw) for _ in range(2))
    low, high = 0.0, 60.0
    for _ in range(24):
        limit = (low + high) / 2
        is_enough = (_estimate(_count_alarms(set_on, limit), set_on.shape[1]).low or 0.0) >= target
        low, high = (low, limit) if is_enough else (limit, high)
    return DriftRule(high, target, _estimate(_count_alarms(measured_on, high), measured_on.shape[1]))


def _bet(p: Array) -> Array:
    found: Array = np.log(POWER) + (POWER - 1) * np.log(p)
    return found


def _simulate(calibration: Array, target: int, draw: np.random.Generator) -> Array:
    n, length = len(calibration), _SPAN * target
    streams = np.empty((_STREAMS, length))
    for row in streams:
        reference = calibration[draw.integers(n, size=n)]
        row[:] = _bet(find_p_values(reference, calibration[draw.integers(n, size=length)]))
    return streams


def _count_alarms(streams: Array, limit: float) -> Array:
    """Alarms in each stream, which starts again after one; shape (stream,)."""
    total, alarms = np.zeros(len(streams)), np.zeros(len(streams))
    for step in streams.T:
        total = np.maximum(0.0, total + step)
        is_over = total > limit
        alarms += is_over
        total[is_over] = 0.0
    return alarms


def _estimate(alarms: Array, length: int) -> Estimate:
    """Texts per alarm, with an interval over the streams, each of which has a reference of its own.

    A stream without an alarm counts as it is; with none in any, the value is the length of all, a lower limit.
    """
    from scipy.stats import t

    n = len(alarms)
    mean, error = float(alarms.mean()), float(alarms.std(ddof=1)) / np.sqrt(n)
    # One alarm more in all streams: with none at all the upper limit of their rate is not zero.
    most = max(mean + float(t.ppf((1 + LEVEL) / 2, n - 1)) * error, (alarms.sum() + 1) / n)
    least = mean - float(t.ppf((1 + LEVEL) / 2, n - 1)) * error
    high = length / least if least > 0 else None
    return Estimate(
        length / max(mean, 1 / n), length / most, high, n, "texts to a false alarm (simulated streams)", LEVEL
    )
