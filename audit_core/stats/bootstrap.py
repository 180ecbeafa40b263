"""Cluster bootstrap intervals over templates, because prompts of one template are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from audit_core.errors import NotMeasured
from audit_core.stats.estimates import LEVEL, Estimate

DRAWS = 10_000

Array = NDArray[np.float64]
_FURTHEST = 38.0
"""Standard deviations beyond which the normal tail underflows in float64."""


def bootstrap_mean(values: NDArray, clusters: Sequence[str], *, unit: str, seed: int, level: float = LEVEL) -> Estimate:
    """Mean over prompts with an interval over templates.

    Args:
        values: one number per prompt, shape (prompt,).
        clusters: template of each prompt, shape (prompt,).
        seed: seed of the bootstrap.

    Source: Efron 1987 (bias-corrected and accelerated); Hesterberg 2015, arXiv:1411.5279 (widened for few clusters);
    Field & Welsh 2007 (cluster bootstrap).

    Example:
        >>> found = bootstrap_mean(np.array([1.0, 2.0, 3.0, 4.0]), ["a", "a", "b", "b"], unit="logits", seed=0)
        >>> found.value, found.n, found.templates
        (2.5, 4, 2)
    """
    return bootstrap_ratio(values, np.ones_like(values, dtype=float), clusters, unit=unit, seed=seed, level=level)


def bootstrap_ratio(
    numerator: NDArray, denominator: NDArray, clusters: Sequence[str], *, unit: str, seed: int, level: float = LEVEL
) -> Estimate:
    """Ratio of means over prompts, both recomputed in each draw, with an interval over templates.

    Args:
        numerator: shape (prompt,).
        denominator: shape (prompt,).
    """
    return bootstrap_ratios(numerator[None], denominator, clusters, unit=unit, seed=seed, level=level)[0]


def bootstrap_ratios(
    numerators: NDArray, denominator: NDArray, clusters: Sequence[str], *, unit: str, seed: int, level: float = LEVEL
) -> tuple[Estimate, ...]:
    """`bootstrap_ratio` of many numerators over the same draws.

    Args:
        numerators: shape (series, prompt).
        denominator: shape (prompt,).

    Raises:
        NotMeasured: the interval of the denominator includes zero, so its sign is unknown (methods 1.2).
    """
    numerators, denominator = np.asarray(numerators, float), np.asarray(denominator, float)
    n = denominator.size
    if denominator.sum() == 0:
        raise NotMeasured("control_failed", "the gap in the denominator is zero.")
    values = numerators.sum(1) / denominator.sum()
    lows, highs = _ratio_interval(numerators, denominator, clusters, seed, level)
    if lows is None or highs is None:
        return tuple(Estimate(float(v), None, None, n, unit, None) for v in values)
    k = len(set(clusters))
    return tuple(Estimate(float(v), float(lo), float(hi), n, unit, level, k) for v, lo, hi in zip(values, lows, highs))


def _ratio_interval(
    numerators: Array, denominator: Array, clusters: Sequence[str], seed: int, level: float
) -> tuple[Array | None, Array | None]:
    weights = draw_weights(clusters, seed=seed)
    if weights is None:
        return None, None
    tail = expanded_tail(len(set(clusters)), level)
    gaps = weights @ denominator
    lowest, highest = np.quantile(gaps, [tail, 1 - tail])
    if lowest <= 0 <= highest:
        raise NotMeasured(
            "control_failed",
            "the sign of the gap in the denominator differs between templates; "
            "use more templates, or a corruption that changes the answer in each.",
        )
    # Draws with only gapless templates have no ratio; there are fewer of them than the tail.
    if (gaps == 0).any():
        weights, gaps = weights[gaps != 0], gaps[gaps != 0]
    draws = (weights @ numerators.T) / gaps[:, None]
    return _accelerate(draws, numerators, denominator, clusters, tail)


def _accelerate(
    draws: Array, numerators: Array, denominator: Array, clusters: Sequence[str], tail: float
) -> tuple[Array, Array]:
    """Ends of the bias-corrected and accelerated (BCa) interval of each series.

    Args:
        draws: shape (draw, series).
        tail: probability outside on each side, already widened for few templates.
    """
    values = numerators.sum(1) / denominator.sum()
    # If all templates are equal, draws differ from the value by rounding only, which is not bias.
    ties = np.abs(draws - values) <= 1e-12 * (1e-300 + np.abs(values))
    below = ((draws < values) & ~ties).sum(0) + 0.5 * ties.sum(0)
    bias = ndtri((below + 0.5) / (len(draws) + 1))
    skew = _find_acceleration(numerators, denominator, clusters)
    draws = np.sort(draws, axis=0)
    ends = []
    for side in (tail, 1 - tail):
        # With two templates the widened tail is zero: the end is the extreme draw.
        z = bias + np.clip(ndtri(side), -_FURTHEST, _FURTHEST)
        # Likewise if the draws are too skewed for the correction.
        room = 1 - skew * z
        share = np.where(room > 0, ndtr(bias + z / np.where(room > 0, room, 1)), float(side > 0.5))
        at = np.clip(share * (len(draws) - 1), 0, len(draws) - 1)
        low = np.floor(at).astype(int)
        high, part = np.minimum(low + 1, len(draws) - 1), at - low
        series = np.arange(draws.shape[1])
        ends.append(draws[low, series] + part * (draws[high, series] - draws[low, series]))
    return ends[0], ends[1]


def _find_acceleration(numerators: Array, denominator: Array, clusters: Sequence[str]) -> Array:
    """BCa acceleration of each ratio, by the jackknife over templates; shape (series,)."""
    names, member = np.unique(np.asarray(clusters), return_inverse=True)
    kept = 1.0 - (member[None] == np.arange(names.size)[:, None])
    gaps = kept @ denominator
    if (gaps == 0).any():
        return np.zeros(len(numerators))
    without = (kept @ numerators.T) / gaps[:, None]
    pull = without.mean(0) - without
    spread = 6 * (pull**2).sum(0) ** 1.5
    return np.divide((pull**3).sum(0), spread, out=np.zeros(len(numerators)), where=spread > 0)


def draw_weights(clusters: Sequence[str], *, seed: int, draws: int = DRAWS) -> Array | None:
    """Weight of each prompt in each draw: whole templates are drawn with replacement.

    Returns:
        Shape (draw, prompt), or None with fewer than two templates.
    """
    names, member = np.unique(np.asarray(clusters), return_inverse=True)
    if names.size < 2:
        return None
    return _draw_picks(names.size, seed, draws)[:, member]


@lru_cache(maxsize=4)
def _draw_picks(k: int, seed: int, draws: int) -> Array:
    """How often each of k templates enters each draw; a verdict asks for the same draws dozens of times."""
    picks = np.random.default_rng(seed).multinomial(k, np.full(k, 1 / k), size=draws).astype(float)
    picks.flags.writeable = False
    return picks


def expanded_tail(n_clusters: int, level: float) -> float:
    """Tail probability that widens a bootstrap interval to Student's t for few templates.

    Source: Hesterberg 2015, arXiv:1411.5279, section 5.3 (expanded percentile interval).
    """
    t = stdtrit(n_clusters - 1, (1 - level) / 2)
    return float(ndtr(np.sqrt(n_clusters / (n_clusters - 1)) * t))


def rank_agreement(
    first: NDArray,
    second: NDArray,
    clusters: Sequence[str],
    *,
    per: NDArray | None = None,
    seed: int,
    draws: int = 1_000,
) -> Estimate:
    """Spearman correlation over components of two per-prompt measurements, with an interval over templates.

    Args:
        first: shape (component, prompt); both are compared by the magnitude of their mean.
        second: shape (component, prompt).
        per: shape (component, prompt); the first measurement is then a sum per this count, 0 where a draw counts nothing.

    Returns:
        Estimate; unit "Spearman ρ"; n is the number of prompts. Draws repeat templates and so agree less; the interval is
        widened to include the value.

    Raises:
        NotMeasured: all components have equal values, in one measurement or in a draw of it.
    """
    value = correlate_ranks(np.abs(first.mean(1)) / (1 if per is None else per.mean(1)), np.abs(second.mean(1)))
    n = first.shape[1]
    weights = draw_weights(clusters, seed=seed, draws=draws)
    if weights is None:
        return Estimate(value, None, None, n, "Spearman ρ", None)
    weights = weights / weights.sum(1, keepdims=True)
    counts = np.ones(1) if per is None else weights @ per.T
    rho = _correlate_rows(np.abs(weights @ first.T) / np.where(counts > 0, counts, 1), np.abs(weights @ second.T))
    tail = expanded_tail(len(set(clusters)), LEVEL)
    low, high = np.quantile(rho, [tail, 1 - tail])
    low, high = min(value, float(low)), max(value, float(high))
    return Estimate(value, low, high, n, "Spearman ρ", LEVEL, len(set(clusters)))


def correlate_ranks(first: NDArray, second: NDArray) -> float:
    """Spearman correlation of two lists, ties at their mean rank; shapes (component,).

    Raises:
        NotMeasured: all values of one list are equal.
    """
    return float(_correlate_rows(first[None], second[None])[0])


def _correlate_rows(first: NDArray, second: NDArray) -> Array:
    """Spearman correlation row by row; shapes (draw, component) → (draw,)."""
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(first, axis=1), rankdata(second, axis=1)])
    ranks -= ranks.mean(2, keepdims=True)
    lengths = np.sqrt((ranks**2).sum(2))
    if (lengths == 0).any():
        raise NotMeasured("control_failed", "all components have equal values, so their order cannot be compared.")
    return np.clip((ranks[0] * ranks[1]).sum(1) / (lengths[0] * lengths[1]), -1.0, 1.0)
