"""How far reviewers who could not see each other's decision agree, beyond what their habits alone would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from audit_core.desk import Case

DECISIONS = ("approve", "approve_with_conditions", "reject")


@dataclass(frozen=True)
class ReviewAgreement:
    """Over packs that two persons reviewed, each blind to the other."""

    n: int
    """Packs."""
    agreed: int
    kappa: float | None
    """Fleiss' kappa of two reviewers: 1 all agree, 0 as often as by chance, below 0 less often."""
    reason: str | None
    """Why there is no kappa."""


def measure_agreement(cases: Sequence[Case]) -> ReviewAgreement:
    """Agreement of the first two reviewers of each pack.

    kappa = (P - P_e) / (1 - P_e), with P the share of packs on which both said the same, and P_e the sum over decisions of the
    squared share with which they were given.

    Source: Fleiss 1971, Psychological Bulletin 76(5), with two raters a subject; the raters need not be the same two.
    """
    pairs = [(found[0], found[1]) for case in cases if len(found := _list_first(case)) > 1]
    agreed = sum(first == second for first, second in pairs)
    if not pairs:
        return ReviewAgreement(0, 0, None, "no pack has two reviews")
    given = Counter(decision for pair in pairs for decision in pair)
    by_chance = sum((given[decision] / (2 * len(pairs))) ** 2 for decision in DECISIONS)
    if by_chance == 1:
        return ReviewAgreement(
            len(pairs), agreed, None, "every review said the same, so chance cannot be told from agreement"
        )
    return ReviewAgreement(len(pairs), agreed, (agreed / len(pairs) - by_chance) / (1 - by_chance), None)


def _list_first(case: Case) -> list[str]:
    """What each reviewer said first, before anybody's decision could be seen."""
    first: dict[str, str] = {}
    for one in case.decisions:
        if one.role == "reviewer":
            first.setdefault(one.person, one.decision)
    return list(first.values())
