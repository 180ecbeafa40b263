"""Rank agreement between plausibility views and measured effects of the same heads or tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import NotMeasured
from audit_core.evidence.kind import Observational
from audit_core.stats.bootstrap import bootstrap_mean, correlate_ranks, rank_agreement
from audit_core.stats.estimates import Estimate

UNIT = "Spearman ρ"
LEAST_HEADS = 3


@dataclass(frozen=True)
class Agreement:
    """Rank correlation of a plausibility view with a measurement of the same components on the same prompts."""

    view: str
    over: str
    """heads | tokens"""
    n_parts: int
    """Heads compared, or tokens of the longest prompt."""
    prompts: str
    """Name of the prompt set."""
    estimate: Observational[Estimate | None]
    """Spearman ρ, −1 to 1; None if undefined."""
    no_estimate: str
    """Why it is undefined; empty if it is defined."""


def compare_heads(
    view: str, first: NDArray, second: NDArray, prompts: str, clusters: Sequence[str], *, seed: int
) -> Agreement:
    """Agreement over heads, by the magnitude of each head's mean over prompts.

    Args:
        first, second: shape (head, prompt).
    """
    estimate, why = None, ""
    try:
        if len(first) < LEAST_HEADS:
            raise NotMeasured(
                "low_power", f"{len(first)} heads are too few for a rank correlation; {LEAST_HEADS} needed."
            )
        estimate = rank_agreement(np.asarray(first, float), np.asarray(second, float), clusters, seed=seed)
    except NotMeasured as error:
        why = error.detail
    return Agreement(view, "heads", len(first), prompts, estimate, why)


def compare_tokens(
    view: str,
    first: Sequence[NDArray],
    second: Sequence[NDArray],
    prompts: str,
    clusters: Sequence[str],
    *,
    seed: int,
) -> Agreement:
    """Agreement over the tokens of each prompt, by magnitude, then the mean over prompts. Prompts with equal values of all
    tokens are excluded, and n counts the others.

    Args:
        first, second: per prompt, shape (key,).
    """
    rho, kept = [], []
    for a, b, cluster in zip(first, second, clusters, strict=True):
        try:
            rho.append(correlate_ranks(np.abs(a), np.abs(b)))
            kept.append(cluster)
        except NotMeasured:
            continue
    longest = max(len(a) for a in first)
    if not rho:
        return Agreement(view, "tokens", longest, prompts, None, "on every prompt the tokens have equal values.")
    estimate = bootstrap_mean(np.array(rho), kept, unit=UNIT, seed=seed)
    return Agreement(view, "tokens", longest, prompts, estimate, "")
