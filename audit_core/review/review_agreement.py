"""Inter-rater agreement of blind reviewers, corrected for agreement by chance (Fleiss' kappa)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit_core.review.desk_rules import Case
from audit_core.stats.estimates import Estimate
from audit_core.stats.shares import wilson

DECISIONS = ("approve", "approve_with_conditions", "reject")
MIN_PACKS = 20
"""With fewer packs, the interval of kappa covers most of its range."""
RESAMPLES = 2000


@dataclass(frozen=True)
class ReviewAgreement:
    """Agreement over packs with two blind reviews."""

    agreed: Estimate | None
    """Share of packs with equal decisions, with Wilson's interval; None without such packs."""
    kappa: Estimate | None
    """Fleiss' kappa of two reviewers: 1 is full agreement, 0 is agreement by chance, below 0 is less than chance."""
    reason: str | None
    """Why kappa is missing."""


def measure_agreement(cases: Sequence[Case], *, seed: int = 0) -> ReviewAgreement:
    """Agreement of the first two reviewers of each pack.

    kappa = (P - P_e) / (1 - P_e), with P the share of packs with equal decisions, and P_e the sum over decisions of their
    squared frequency. Its interval is a bootstrap over packs.

    Source: Fleiss 1971, Psychological Bulletin 76(5), with two raters per subject, not always the same two.
    """
    pairs = [(first[0], first[1]) for first in map(_list_first, cases) if len(first) > 1]
    if not pairs:
        return ReviewAgreement(None, None, "no pack has two reviews")
    agreed = wilson(sum(first == second for first, second in pairs), len(pairs))
    if len(pairs) < MIN_PACKS:
        return ReviewAgreement(agreed, None, f"fewer than {MIN_PACKS} packs have two reviews")
    kappa = compute_kappa(pairs)
    if kappa is None:
        return ReviewAgreement(agreed, None, "all decisions are equal, so agreement by chance cannot be estimated")
    draws = np.random.default_rng(seed).integers(len(pairs), size=(RESAMPLES, len(pairs)))
    again = [found for row in draws if (found := compute_kappa([pairs[index] for index in row])) is not None]
    low, high = np.quantile(again, (0.025, 0.975))
    return ReviewAgreement(agreed, Estimate(kappa, float(low), float(high), len(pairs), "kappa", 0.95), None)


def compute_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Fleiss' kappa; None where every decision is the same."""
    given = Counter(decision for pair in pairs for decision in pair)
    by_chance = sum((given[decision] / (2 * len(pairs))) ** 2 for decision in DECISIONS)
    agreed = sum(first == second for first, second in pairs) / len(pairs)
    return None if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)


def _list_first(case: Case) -> list[str]:
    """Each reviewer's first decision, made before other decisions were visible."""
    first: dict[str, str] = {}
    for one in case.decisions:
        if one.role == "reviewer":
            first.setdefault(one.person, one.decision)
    return list(first.values())
