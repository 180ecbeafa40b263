"""Where scores averaged over a set and effects measured on it disagree: in sign, or in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from audit_core.stats.estimates import Estimate


class ConflictKind(StrEnum):
    """In what a score and an effect disagree."""

    SIGN = "sign"
    ORDER = "order"


@dataclass(frozen=True)
class Conflict:
    """One disagreement between a method's scores and measured effects, by whole intervals."""

    method: str
    kind: str
    """A value of `ConflictKind`."""
    first: str
    second: str
    """What the scores put below `first` and effects above it; empty for a sign."""


def magnitude(effect: Estimate) -> Estimate:
    """|value|, with every size that the interval allows."""
    if effect.low is None or effect.high is None:
        return Estimate(abs(effect.value), None, None, effect.n, effect.unit, None, effect.templates)
    ends = abs(effect.low), abs(effect.high)
    low = 0.0 if effect.low <= 0 <= effect.high else min(ends)
    return Estimate(abs(effect.value), low, max(ends), effect.n, effect.unit, effect.level, effect.templates)


def list_signs(method: str, scores: Mapping[str, Estimate], effects: Mapping[str, Estimate]) -> tuple[Conflict, ...]:
    """Names whose score and effect have opposite signs, each by its whole interval."""
    return tuple(
        Conflict(method, ConflictKind.SIGN.value, name, "")
        for name in scores
        if name in effects and find_sign(scores[name]) * find_sign(effects[name]) < 0
    )


def list_orders(method: str, scores: Mapping[str, Estimate], effects: Mapping[str, Estimate]) -> tuple[Conflict, ...]:
    """Pairs that scores put in one order and effects in the other, where neither pair of intervals overlaps."""
    found = []
    for a, b in combinations([name for name in scores if name in effects], 2):
        for first, second in ((a, b), (b, a)):
            if is_above(scores[first], scores[second]) and is_above(effects[second], effects[first]):
                found.append(Conflict(method, ConflictKind.ORDER.value, first, second))
    return tuple(found)


def find_sign(estimate: Estimate) -> int:
    """1 or −1 if the whole interval has that sign; 0 if it holds 0, or if there is no interval."""
    if estimate.low is None or estimate.high is None:
        return 0
    return 1 if estimate.low > 0 else -1 if estimate.high < 0 else 0


def is_above(first: Estimate, second: Estimate) -> bool:
    """Whether the first interval lies wholly above the second."""
    return first.low is not None and second.high is not None and first.low > second.high
