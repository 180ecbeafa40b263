"""Shares of planted claims judged right, left open and judged wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit_core.calibration.samples import Sample
from audit_core.judging.verdict import State
from audit_core.stats.estimates import Estimate
from audit_core.stats.shares import wilson
from audit_core.subjects.planted.key import WIRED, PlantedRole


@dataclass(frozen=True)
class Tally:
    """Shares of claims: right in every sample, wrong in any sample, and the rest, where the rule abstained."""

    right: Estimate
    abstained: Estimate
    wrong: Estimate


def group_claims(samples: Sequence[Sample]) -> list[tuple[Sample, ...]]:
    """All samples of one claim on one build."""
    groups: dict[tuple[str, str, str, str, int], list[Sample]] = {}
    for s in samples:
        groups.setdefault((s.model, s.components, s.task, s.role, s.seed), []).append(s)
    return [tuple(group) for group in groups.values()]


def tally_claims(claims: Sequence[Sequence[Sample]], rule: str) -> dict[str, Tally]:
    tallies = {}
    for truth in (State.SUPPORTED, State.NEGLIGIBLE, State.REVERSED):
        chosen = [[s.found.get(rule, "") for s in c] for c in claims if WIRED.get(PlantedRole(c[0].planted)) is truth]
        if not chosen:
            continue
        right = sum(all(state == truth for state in states) for states in chosen)
        wrong = sum(any(state not in (truth, State.INCONCLUSIVE) for state in states) for states in chosen)
        n = len(chosen)
        tallies[truth.value] = Tally(wilson(right, n), wilson(n - right - wrong, n), wilson(wrong, n))
    return tallies


def describe_share(estimate: Estimate) -> str:
    """`97.1 % [95.0, 98.4] of 412`."""
    assert estimate.low is not None
    assert estimate.high is not None
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}] of {estimate.n:,}"


def describe_count(estimate: Estimate) -> str:
    """`35 of 40`."""
    return f"{round(estimate.value * estimate.n):,} of {estimate.n:,}"
