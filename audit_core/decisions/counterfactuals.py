"""Counterfactuals, read off the decisions of all combinations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from audit_core.decisions.curves import Support
from audit_core.decisions.slots import Row
from audit_core.decisions.table import DecisionTable

Rows = NDArray[np.int64]
MOST = 4


@dataclass(frozen=True)
class Alternative:
    """A combination that an applicant could reach, with the other decision."""

    row: Row
    changed: tuple[int, ...]
    distance: float
    """Sum over slots of the share of the scale that is crossed."""
    is_seen: bool
    """Whether every pair of its values occurs in the data."""
    value: float


def find_alternatives(table: DecisionTable, row: Row, support: Support) -> tuple[Alternative, ...]:
    """The nearest combinations with the other decision, at most four, each changing another set of slots.

    Only slots that may change do, and only in their direction. Combinations seen in the data come first.
    Source: Wachter, Mittelstadt and Russell 2018; Mothilal, Sharma and Tan 2020, arXiv:1905.07697 (diversity).
    """
    slots = table.slots
    reachable = [
        [level for level in range(len(slot.levels)) if slot.allows(own, level)]
        for slot, own in zip(slots, row, strict=True)
    ]  # fmt: skip
    is_yes = table.values[row] > 0
    found = []
    for other in product(*reachable):
        if (table.values[other] > 0) == is_yes:
            continue
        changed = tuple(at for at in range(len(row)) if other[at] != row[at])
        distance = sum(slots[at].distance(row[at], other[at]) for at in changed)
        found.append(Alternative(other, changed, distance, not support.list_unseen(other), float(table.values[other])))
    found.sort(key=lambda one: (not one.is_seen, len(one.changed), one.distance, one.row))
    chosen: list[Alternative] = []
    for one in found:
        # A set of slots that contains a chosen set says nothing new.
        if not any(set(kept.changed) <= set(one.changed) for kept in chosen):
            chosen.append(one)
    return tuple(chosen[:MOST])
