"""Sanity of scores: under randomised weights, under other seeds, and between methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from audit_core.errors import NotMeasured
from audit_core.explanations.method import Array, AttributionMethod, Scores
from audit_core.stats.bootstrap import bootstrap_mean, correlate_ranks
from audit_core.stats.estimates import Estimate

UnitScores = Sequence[Array | None]
"""Per prompt, shape (unit,); None where a method refused the prompt."""
UNIT = "mean Spearman ρ over units"


def compare_scores(
    pairs: Sequence[tuple[UnitScores, UnitScores]], clusters: Sequence[str], *, is_signed: bool, seed: int
) -> Estimate | None:
    """Mean rank correlation of scores of the same prompts, over pairs and then over prompts.

    Args:
        is_signed: whether both have a sign; else their magnitudes are compared.

    Returns:
        None if no prompt has two lists that can be ranked.
    """
    found, kept = [], []
    for at, cluster in enumerate(clusters):
        values = [
            rho
            for first, second in pairs
            if (rho := _correlate(first[at], second[at], is_signed)) is not None
        ]
        if values:
            found.append(float(np.mean(values)))
            kept.append(cluster)
    return bootstrap_mean(np.array(found), kept, unit=UNIT, seed=seed) if found else None


def compare_methods(
    methods: Mapping[str, AttributionMethod], scores: Mapping[str, Scores], clusters: Sequence[str], *, seed: int
) -> dict[tuple[str, str], Estimate | None]:
    """Agreement of every two methods on the same prompts."""
    return {
        (a, b): compare_scores(
            [(scores[a].values, scores[b].values)], clusters, is_signed=methods[a].is_signed and methods[b].is_signed, seed=seed
        )
        for a, b in combinations(scores, 2)
    }


def _correlate(first: np.ndarray | None, second: np.ndarray | None, is_signed: bool) -> float | None:
    if first is None or second is None:
        return None
    try:
        return correlate_ranks(first, second) if is_signed else correlate_ranks(np.abs(first), np.abs(second))
    except NotMeasured:
        return None
