"""Sanity of scores: under randomised weights, under other seeds, and between methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np

from audit_core.errors import NotMeasured
from audit_core.explanations.method import Array, AttributionMethod, Scores
from audit_core.stats.bootstrap import bootstrap_mean, correlate_ranks
from audit_core.stats.estimates import Estimate

UnitScores = Sequence[Array | None]
"""Per prompt, shape (unit,); None where a method refused the prompt."""
UNIT = "mean Spearman ρ over units"
VALUES_UNIT = "mean correlation r over units"


def compare_scores(
    pairs: Sequence[tuple[UnitScores, UnitScores]],
    clusters: Sequence[str],
    *,
    is_signed: bool,
    seed: int,
    correlate: Callable[[Array, Array], float] = correlate_ranks,
    unit: str = UNIT,
) -> Estimate | None:
    """Mean correlation of scores of the same prompts, over pairs and then over prompts.

    Args:
        is_signed: whether both have a sign; else their magnitudes are compared.
        correlate: of ranks, or of values.

    Returns:
        None if no prompt has two lists that can be ranked.
    """
    found, kept = [], []
    for at, cluster in enumerate(clusters):
        values = [
            rho
            for first, second in pairs
            if (rho := _correlate(first[at], second[at], is_signed, correlate)) is not None
        ]
        if values:
            found.append(float(np.mean(values)))
            kept.append(cluster)
    return bootstrap_mean(np.array(found), kept, unit=unit, seed=seed) if found else None


def compare_methods(
    methods: Mapping[str, AttributionMethod], scores: Mapping[str, Scores], clusters: Sequence[str], *, seed: int
) -> dict[tuple[str, str], Estimate | None]:
    """Agreement of every two methods on the same prompts."""
    return {
        (a, b): compare_scores(
            [(scores[a].values, scores[b].values)],
            clusters,
            is_signed=methods[a].is_signed and methods[b].is_signed,
            seed=seed,
        )
        for a, b in combinations(scores, 2)
    }


def correlate_values(first: Array, second: Array) -> float:
    """Pearson correlation: units without effect, whose order is noise, weigh little; shapes (unit,).

    Raises:
        NotMeasured: all values of one list are equal.
    """
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        raise NotMeasured("control_failed", "all scores are equal.")
    return float(np.corrcoef(first, second)[0, 1])


def _correlate(
    first: Array | None, second: Array | None, is_signed: bool, correlate: Callable[[Array, Array], float]
) -> float | None:
    if first is None or second is None:
        return None
    try:
        return correlate(first, second) if is_signed else correlate(np.abs(first), np.abs(second))
    except NotMeasured:
        return None
