"""Anchors: few values of an applicant that hold the decision, whatever the other slots are; with bounds that hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from audit_core.decisions.table import Floats
from audit_core.errors import NotMeasured
from audit_core.stats.estimates import Estimate
from audit_core.stats.shares import wilson

Rows = NDArray[np.int64]
PRECISION = 0.95
"""Precision that a rule must show on the half that chooses it."""
LEVEL = 0.95


@dataclass(frozen=True)
class Anchor:
    """A rule `these slots have these values`, chosen on one half of the applicants and measured on the other."""

    slots: tuple[int, ...]
    precision: Estimate
    """Share of applicants that keep the decision when given these values; the lower end holds with 95 % (Clopper–Pearson)."""
    coverage: Estimate
    """Share of applicants that have these values anyway."""


def find_anchor(decide: Callable[[Rows], Floats], row: tuple[int, ...], chosen: Rows, fresh: Rows) -> Anchor:
    """The smallest rule that is precise on `chosen`, measured on `fresh`, which did not choose it.

    Args:
        chosen: applicants whose other slots are used to choose the rule; shape (row, slot).
        fresh: other applicants, for its precision and coverage.

    Raises:
        NotMeasured: a half has fewer than 20 applicants.

    Source: Ribeiro, Singh and Guestrin 2018 (rules); Clopper and Pearson 1934 (bound on a half that did not choose).
    """
    if min(len(chosen), len(fresh)) < 20:
        raise NotMeasured("low_power", "an anchor needs at least 20 applicants in each half.")
    wanted = decide(np.array([row]))[0] > 0
    best: tuple[int, ...] = tuple(range(len(row)))
    for size in range(1, len(row)):
        precise = [
            (_count_covered(row, chosen, slots), slots)
            for slots in combinations(range(len(row)), size)
            if _count_kept(decide, row, chosen, slots, wanted) >= PRECISION * len(chosen)
        ]
        if precise:
            best = max(precise, key=lambda one: (one[0], [-slot for slot in one[1]]))[1]
            break
    kept = _count_kept(decide, row, fresh, best, wanted)
    return Anchor(
        best, clopper_pearson(kept, len(fresh)), wilson(_count_covered(row, fresh, best), len(fresh), "covered")
    )


def clopper_pearson(hits: int, n: int) -> Estimate:
    """A share with its one-sided exact lower bound at 95 %; the upper end is 1.

    Source: Clopper and Pearson 1934.
    """
    from scipy.stats import beta

    low = float(beta.ppf(1 - LEVEL, hits, n - hits + 1)) if hits else 0.0
    return Estimate(hits / n, low, 1.0, n, "keep the decision", LEVEL)


def _count_kept(
    decide: Callable[[Rows], Floats], row: tuple[int, ...], rows: Rows, slots: tuple[int, ...], wanted: np.bool_
) -> int:
    changed = rows.copy()
    for slot in slots:
        changed[:, slot] = row[slot]
    return int(((decide(changed) > 0) == wanted).sum())


def _count_covered(row: tuple[int, ...], rows: Rows, slots: tuple[int, ...]) -> int:
    return int((rows[:, slots] == np.array(row)[list(slots)]).all(1).sum())
