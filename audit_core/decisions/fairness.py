"""Protected attributes: flips, how much of their effect passes through another slot, and rates by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.decisions.table import UNIT, DecisionTable, Floats
from audit_core.errors import NotMeasured
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.stats.shares import wilson

Rows = NDArray[np.int64]
DRAWS = 1_000
DELTA = 0.1
"""Smallest effect of interest, as a fraction of the standard deviation of decisions over applicants (design: 4.3)."""
_MIN_GROUP = 5


@dataclass(frozen=True)
class Flip:
    """A change of one slot alone, everything else as it is."""

    effect: Estimate
    """Mean change of the preference for yes, from the first level to the second."""
    flipped: Estimate
    """Share of applicants whose decision changes."""


def flip(table: DecisionTable, rows: Rows, slot: int, first: int, second: int, *, seed: int) -> Flip:
    """Set a slot to one level and to another for every applicant, and compare the decisions."""
    before, after = (table.read_changed(rows, slot, level) for level in (first, second))
    changed = int(((before > 0) != (after > 0)).sum())
    return Flip(average(after - before, seed=seed), wilson(changed, len(rows), "of the applicants"))


def average(values: Floats, *, seed: int) -> Estimate:
    """Mean over applicants with an interval over applicants."""
    return bootstrap_mean(values, [str(at) for at in range(len(values))], unit=UNIT, seed=seed)


@dataclass(frozen=True)
class ThroughSlot:
    """Mediation of a protected attribute's effect by another slot."""

    total: Estimate
    """Change when the attribute and what goes with it in the data change together."""
    indirect: Estimate
    """Change when the other slot alone moves as it goes with the attribute."""
    direct: Estimate
    """Change when the attribute alone moves."""


def mediate(
    table: DecisionTable, rows: Rows, attribute: int, mediator: int, first: int, second: int, *, seed: int
) -> ThroughSlot:
    """How much of an attribute's effect passes through another slot.

    With P the mediator's shares among applicants of each group, and f the measured decision of an applicant x:
    TE = E_x[Σ_m P(m|second) f(second, m) − P(m|first) f(first, m)], NIE = E_x[Σ_m (P(m|second) − P(m|first)) f(first, m)],
    NDE = E_x[Σ_m P(m|first) (f(second, m) − f(first, m))]. Intervals draw applicants again, and P with them.

    Raises:
        NotMeasured: a group with fewer than five applicants.

    Source: Pearl 2001; Vig et al. 2020, arXiv:2004.12265, section 3.
    """
    n_levels = len(table.slots[mediator].levels)
    groups = [rows[:, attribute] == level for level in (first, second)]
    require_groups(groups)
    # Shape (side, row, level of the mediator).
    values = np.stack([
        np.stack([_set_both(table, rows, (attribute, side), (mediator, m)) for m in range(n_levels)], axis=1)
        for side in (first, second)
    ])  # fmt: skip
    return divide_effect(values, np.eye(n_levels)[rows[:, mediator]], groups, unit=UNIT, seed=seed)


def require_groups(groups: Sequence[NDArray[np.bool_]]) -> None:
    """Refuse a group that is too small for shares of its own.

    Raises:
        NotMeasured: a group with fewer than five applicants.
    """
    if min(int(group.sum()) for group in groups) < _MIN_GROUP:
        raise NotMeasured("low_power", f"a group has fewer than {_MIN_GROUP} applicants.")


def divide_effect(
    values: Floats, is_level: Floats, groups: list[NDArray[np.bool_]], *, unit: str, seed: int
) -> ThroughSlot:
    """Total, indirect and direct effect, from decisions that were run with both groups' attribute and every level.

    Args:
        values: shape (side, row, level of the mediator).
        is_level: which level each row has; shape (row, level).
        groups: rows of the first and of the second group.
    """
    n = len(is_level)
    picks = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=DRAWS)
    drawn = _mediate(values, is_level, groups, np.vstack([np.ones(n), picks]))
    return ThroughSlot(*(_estimate(one, n, unit) for one in drawn))


def _mediate(
    values: Floats, is_level: Floats, groups: list[NDArray[np.bool_]], weights: Floats
) -> tuple[Floats, Floats, Floats]:
    """Total, indirect and direct effect under each set of weights of the rows; shapes (draw,)."""
    shares = [
        (weights * group) @ is_level / np.maximum((weights * group).sum(1), 1)[:, None] for group in groups
    ]  # fmt: skip
    size = weights.sum(1)[:, None]
    at_first, at_second = (weights @ side / size for side in values)
    total = (shares[1] * at_second - shares[0] * at_first).sum(1)
    indirect = ((shares[1] - shares[0]) * at_first).sum(1)
    direct = (shares[0] * (at_second - at_first)).sum(1)
    return total, indirect, direct


def _estimate(drawn: Floats, n: int, unit: str) -> Estimate:
    """The first value, with the percentile interval of the others."""
    low, high = np.quantile(drawn[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    value = float(drawn[0])
    return Estimate(value, min(value, float(low)), max(value, float(high)), n, unit, LEVEL)


def _set_both(table: DecisionTable, rows: Rows, one: tuple[int, int], two: tuple[int, int]) -> Floats:
    changed = rows.copy()
    for slot, level in (one, two):
        changed[:, slot] = level
    return table.read(changed)


def association(rows: Rows, first: int, second: int) -> float:
    """Cramér's V of two slots over applicants: 0 none, 1 one gives the other away.

    Source: Cramér 1946, section 21.9.
    """
    a, b = rows[:, first], rows[:, second]
    counts = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(counts, (a, b), 1)
    counts = counts[counts.sum(1) > 0][:, counts.sum(0) > 0]
    if min(counts.shape) < 2:
        return 0.0
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
    squared = float(((counts - expected) ** 2 / expected).sum())
    return float(np.sqrt(squared / (counts.sum() * (min(counts.shape) - 1))))


def rate(decided: NDArray[np.bool_], among: NDArray[np.bool_]) -> Estimate | None:
    """Share of yes among some applicants, with Wilson's interval; None without any."""
    return wilson(int((decided & among).sum()), int(among.sum()), "said yes") if among.any() else None
