"""Counterfactuals and principal reasons of a denial, read off the decisions of all combinations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from audit_core.decisions.curves import Support
from audit_core.decisions.slots import Row
from audit_core.decisions.table import DecisionTable

Rows = NDArray[np.int64]
MOST, MOST_REASONS = 4, 4
"""More than four reasons are not likely to be helpful (Regulation B, official interpretation of 1002.9(b)(2), paragraph 1)."""
ESTABLISHED = 0.95
"""Share of reference applicants with which all reasons together must turn the decision (design: 4.5)."""


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


@dataclass(frozen=True)
class Reason:
    """One slot as a reason of a denial."""

    slot: int
    effect: float
    """Mean change of the preference for yes when this slot alone takes the values of applicants with a narrow yes, in logits."""


@dataclass(frozen=True)
class Reasons:
    """Principal reasons of one denial, and whether they hold together."""

    found: tuple[Reason, ...]
    flips_together: float
    """Share of applicants with a narrow yes whose values in all these slots turn the decision into yes."""
    protected: tuple[Reason, ...]
    """Protected slots that would be among them: a matter for a person, never a reason."""

    @property
    def is_established(self) -> bool:
        return bool(self.found) and not self.protected and self.flips_together >= ESTABLISHED


def find_reasons(table: DecisionTable, row: Row, rows: Rows, *, least: float) -> Reasons:
    """Slots whose values lower the preference most against applicants with a narrow yes, at most four.

    A narrow yes: the quarter of applicants with a yes that is nearest to the boundary, at least ten.

    Args:
        least: smallest effect that counts, in logits.

    Source: form of 12 CFR 1002.9(b)(2) and its official interpretation, paragraph 5; measured by intervention, not by score.
    """
    values = table.read(rows)
    accepted, order = rows[values > 0], np.argsort(values[values > 0], kind="stable")
    near = accepted[order[: max(10, len(accepted) // 4)]]
    if not len(near):
        return Reasons((), 0.0, ())
    measured = []
    for slot in range(len(row)):
        changed = _take_from(near, row, (slot,))
        measured.append(Reason(slot, float(table.read(changed).mean() - table.values[row])))
    measured = sorted((one for one in measured if one.effect > least), key=lambda one: (-one.effect, one.slot))
    principal = measured[:MOST_REASONS]
    found = tuple(one for one in principal if not table.slots[one.slot].is_protected)
    together = table.read(_take_from(near, row, tuple(one.slot for one in found))) > 0
    return Reasons(
        found, float(together.mean()), tuple(one for one in principal if table.slots[one.slot].is_protected)
    )  # fmt: skip


def _take_from(near: Rows, row: Row, slots: tuple[int, ...]) -> Rows:
    """The applicant, with the values of each of these others in some slots."""
    changed = np.tile(np.array(row), (len(near), 1))
    changed[:, list(slots)] = near[:, list(slots)]
    return changed
