"""Estimates with intervals: a bootstrap over templates, because prompts of one template are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr, stdtrit

from audit_core.errors import NotMeasured

DRAWS = 10_000
LEVEL = 0.95
MIN_PROMPTS = 20
MIN_TEMPLATES = 5
"""Below these an interval says too little to decide on (methods 1.8)."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number a person may read."""

    value: float
    low: float | None
    """Lower end of the interval; None where there is none (one prompt, or one template)."""
    high: float | None
    n: int
    """Prompts behind the number."""
    unit: str
    level: float | None
    """Confidence level of the interval; None where there is none."""

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def format_estimate(estimate: Estimate) -> str:
    """`0.56 [0.41, 0.70] of the clean–empty gap (95 %, n = 60)`."""
    unit = estimate.unit.replace("fraction ", "")
    level = "no interval" if estimate.level is None else f"{100 * estimate.level:g} %"
    between = "" if estimate.low is None else f" [{estimate.low:.2f}, {estimate.high:.2f}]"
    return f"{estimate.value:.2f}{between} {unit} ({level}, n = {estimate.n})"


def bootstrap_mean(values: NDArray, clusters: Sequence[str], *, unit: str, seed: int, level: float = LEVEL) -> Estimate:
    """Mean over prompts with an interval over templates.

    Args:
        values: one number per prompt, shape (prompt,).
        clusters: template of each prompt, shape (prompt,).
        seed: of the bootstrap.

    Source: Hesterberg 2015, arXiv:1411.5279 (expanded percentile); Field & Welsh 2007 (cluster bootstrap).
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
    """`bootstrap_ratio` for many numerators over the same draws.

    Args:
        numerators: shape (series, prompt).
        denominator: shape (prompt,).

    Raises:
        NotMeasured: the denominator's own interval reaches zero, so its sign is not known (methods 1.2).
    """
    numerators, denominator = np.asarray(numerators, float), np.asarray(denominator, float)
    n = denominator.size
    if denominator.sum() == 0:
        raise NotMeasured("control_failed", "the gap to take a fraction of is zero.")
    values = numerators.sum(1) / denominator.sum()
    lows, highs = _ratio_interval(numerators, denominator, clusters, seed, level)
    if lows is None or highs is None:
        return tuple(Estimate(float(v), None, None, n, unit, None) for v in values)
    return tuple(Estimate(float(v), float(lo), float(hi), n, unit, level) for v, lo, hi in zip(values, lows, highs))


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
            "from template to template the gap to take a fraction of changes its sign; "
            "more templates, or a corruption that matters in each, are needed.",
        )
    # A draw of nothing but templates without a gap has no fraction; there are fewer of them than the tail, or none.
    if (gaps == 0).any():
        weights, gaps = weights[gaps != 0], gaps[gaps != 0]
    draws = (weights @ numerators.T) / gaps[:, None]
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return low, high


def draw_weights(clusters: Sequence[str], *, seed: int, draws: int = DRAWS) -> Array | None:
    """How often each prompt enters each draw: whole templates are drawn with replacement.

    Returns:
        Shape (draw, prompt), or None with fewer than two templates.
    """
    names, member = np.unique(np.asarray(clusters), return_inverse=True)
    if names.size < 2:
        return None
    picks = np.random.default_rng(seed).multinomial(names.size, np.full(names.size, 1 / names.size), size=draws)
    return picks[:, member].astype(float)


def adjust_p_values(values: NDArray, clusters: Sequence[str]) -> NDArray[np.float64]:
    """For each component, whether its effect differs from zero, allowing for how many were looked at.

    Student's t over template means (prompts of one template are not independent), then Benjamini–Hochberg: of the
    components whose adjusted value is below 0.05, at most 5 % are expected to have no effect.

    Args:
        values: shape (component, prompt).

    Returns:
        Adjusted p-values, shape (component,).

    Raises:
        NotMeasured: fewer than `MIN_TEMPLATES` templates.

    Source: Benjamini and Hochberg 1995; `scipy.stats.false_discovery_control`.
    """
    from scipy.stats import false_discovery_control

    names, member = np.unique(np.asarray(clusters), return_inverse=True)
    if names.size < MIN_TEMPLATES:
        raise NotMeasured(
            "low_power",
            f"{names.size} template{'s' * (names.size != 1)}; {MIN_TEMPLATES} are needed to mark components.",
        )
    means = np.stack([np.asarray(values, float)[:, member == at].mean(1) for at in range(names.size)], axis=1)
    centre, spread = means.mean(1), means.std(1, ddof=1) / np.sqrt(names.size)
    # No spread: the effect is the same everywhere, so it is zero for certain or certainly not.
    t = np.divide(np.abs(centre), spread, out=np.where(centre == 0, 0.0, np.inf), where=spread > 0)
    p = 2 * stdtr(names.size - 1, -t)
    return np.asarray(false_discovery_control(p, method="bh"))


def expanded_tail(n_clusters: int, level: float) -> float:
    """Tail probability that widens a percentile interval to Student's t: few templates, wide interval.

    Source: Hesterberg 2015, arXiv:1411.5279, section 5.3 (expanded percentile interval).
    """
    t = stdtrit(n_clusters - 1, (1 - level) / 2)
    return float(ndtr(np.sqrt(n_clusters / (n_clusters - 1)) * t))


def rank_agreement(
    first: NDArray, second: NDArray, clusters: Sequence[str], *, seed: int, draws: int = 1_000
) -> Estimate:
    """Spearman correlation over components of two per-prompt measurements, with an interval over templates.

    Args:
        first: shape (component, prompt).
        second: shape (component, prompt); compared by magnitude of its mean.

    Returns:
        Estimate; unit "Spearman ρ"; n is the number of prompts.
    """
    value = _spearman(first.mean(1), np.abs(second.mean(1)))
    n = first.shape[1]
    weights = draw_weights(clusters, seed=seed, draws=draws)
    if weights is None:
        return Estimate(value, None, None, n, "Spearman ρ", None)
    weights = weights / weights.sum(1, keepdims=True)
    rho = [_spearman(a, np.abs(b)) for a, b in zip(weights @ first.T, weights @ second.T)]
    tail = expanded_tail(len(set(clusters)), LEVEL)
    low, high = np.quantile(rho, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), n, "Spearman ρ", LEVEL)


def _spearman(first: NDArray, second: NDArray) -> float:
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(first), rankdata(second)])
    if (ranks.std(1) == 0).any():
        raise NotMeasured("control_failed", "all components measure the same, so they have no order to compare.")
    return float(np.corrcoef(ranks)[0, 1])
