"""Cluster bootstrap intervals over templates, because prompts of one template are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from audit_core.errors import NotMeasured
from audit_core.stats.estimates import LEVEL, Estimate

DRAWS = 10_000

Array = NDArray[np.float64]
LEAST_SPREAD = 0.2
"""Smallest standard error of a draw, as a fraction of the sample's: draws of nearly equal templates have almost none, and
their studentised value has no bound."""


def bootstrap_mean(values: NDArray, clusters: Sequence[str], *, unit: str, seed: int, level: float = LEVEL) -> Estimate:
    """Mean over prompts with an interval over templates.

    Args:
        values: one number per prompt, shape (prompt,).
        clusters: template of each prompt, shape (prompt,).
        seed: seed of the bootstrap.

    Source: see `_studentise`.

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
    names, member = np.unique(np.asarray(clusters), return_inverse=True)
    if names.size < 2:
        return None, None
    by_template = np.eye(names.size)[member]
    tops, gaps = numerators @ by_template, denominator @ by_template
    # The draws of one series are kept for a moment: a verdict asks for the interval of the same numbers at several levels.
    draw = _keep_draws if len(tops) == 1 else _draw_ratios
    drawn_gaps, ratios = draw(tops.tobytes(), gaps.tobytes(), seed)
    tail = expanded_tail(names.size, level)
    lowest, highest = quantiles(drawn_gaps, (tail, 1 - tail))
    if lowest <= 0 <= highest:
        raise NotMeasured(
            "control_failed",
            "the sign of the gap in the denominator differs between templates; "
            "use more templates, or a corruption that changes the answer in each.",
        )
    return _studentise(ratios, names.size, level)


@dataclass(frozen=True, eq=False)
class _Ratios:
    """Ratios and their draws."""

    values: Array
    """Shape (series,)."""
    error: Array
    """Standard error of each ratio, shape (series,)."""
    t: Array
    """Studentised draws, shape (series, draw)."""
    sizes: Array
    """Their absolute values."""


def _draw_ratios(tops: bytes, gaps: bytes, seed: int) -> tuple[Array, _Ratios]:
    """The gap of each draw, and the studentised ratios of draws of two templates or more.

    Args:
        tops: numerators, summed over each template; shape (series, template).
        gaps: denominator, likewise; shape (template,).

    Source: Hall 1992, The Bootstrap and Edgeworth Expansion, section 3.6; Field and Welsh 2007 (clusters).
    """
    below = np.frombuffer(gaps)
    k = below.size
    above = np.frombuffer(tops).reshape(-1, k)
    picks = _draw_picks(k, seed, DRAWS)
    all_gaps = picks @ below
    picks = _draw_several(k, seed, DRAWS) if all_gaps.all() else picks[(all_gaps != 0) & _are_several(picks)]
    values = above.sum(1) / below.sum()
    # Residuals instead of raw sums, so that no difference of large numbers is taken.
    left = above - values[:, None] * below
    error = np.sqrt((left**2).sum(1) / (k * (k - 1))) / abs(below.mean())
    drawn_gaps = (picks @ below)[:, None]
    moved = (picks @ left.T) / drawn_gaps
    squares = picks @ (left**2).T - 2 * moved * (picks @ (left * below).T) + moved**2 * (picks @ below**2)[:, None]
    drawn_error = np.sqrt(np.maximum(squares, 0) / (k * (k - 1))) * k / np.abs(drawn_gaps)
    drawn_error = np.maximum(drawn_error, LEAST_SPREAD * error)
    t = np.divide(moved, drawn_error, out=np.zeros_like(moved), where=drawn_error > 0)
    by_series = np.ascontiguousarray(t.T)
    return all_gaps, _Ratios(values, error, by_series, np.abs(by_series))


_keep_draws = lru_cache(maxsize=32)(_draw_ratios)


def _studentise(ratios: _Ratios, k: int, level: float) -> tuple[Array, Array]:
    """Ends of the interval of each ratio: the widest of Student's t and two studentised bootstraps on each side.

    One interval alone is too narrow for some spread between templates: Student's t where it is skewed, the equal-tailed
    studentised bootstrap where it has long tails, the symmetric one where it is both (`docs/calibration.md`).

    Args:
        k: number of templates.
        level: confidence level.
    """
    outside = (1 - level) / 2
    lowest, highest = quantiles(ratios.t, (outside, 1 - outside))
    both = np.maximum(quantiles(ratios.sizes, (level,))[0], -stdtrit(k - 1, outside))
    values, error = ratios.values, ratios.error
    return values - np.maximum(both, highest) * error, values + np.maximum(both, -lowest) * error


def quantiles(values: Array, shares: Sequence[float]) -> Array:
    """Quantiles along the last axis, bit for bit those of `np.quantile`, in a third of its time.

    Args:
        values: shape (…, draw).

    Returns:
        Shape (share, …).

    Example:
        >>> quantiles(np.array([3.0, 1.0, 2.0]), (0.25, 0.5)).tolist()
        [1.5, 2.0]
    """
    at = (values.shape[-1] - 1) * np.asarray(shares, float)
    below = np.minimum(np.floor(at).astype(int), max(values.shape[-1] - 2, 0))
    if values.shape[-1] < 2 or not np.isfinite(values.sum()) or (at < 0).any() or (at >= values.shape[-1] - 1).any():
        found: Array = np.quantile(values, shares, axis=-1)
        return found
    ranked = np.partition(values, np.unique((below, below + 1)), axis=-1)
    low, high = (np.moveaxis(ranked[..., places], -1, 0) for places in (below, below + 1))
    weight = (at - below).reshape(-1, *(1,) * (values.ndim - 1))
    step = high - low
    ends: Array = np.where(weight >= 0.5, high - step * (1 - weight), low + step * weight)
    return ends


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


@lru_cache(maxsize=4)
def _draw_several(k: int, seed: int, draws: int) -> Array:
    """The draws of more than one template: a draw of one has no spread of its own."""
    picks = _draw_picks(k, seed, draws)
    several = picks[_are_several(picks)]
    several.flags.writeable = False
    return several


def _are_several(picks: Array) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (picks > 0).sum(1) > 1
    return found


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
