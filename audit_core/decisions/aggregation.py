"""Local scores of applicants averaged over the file, beside the effect of changing the same slots for everyone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from audit_core.decisions.attributions import lime_spread, shapley_of_row
from audit_core.decisions.fairness import average
from audit_core.decisions.results import AggregateRow
from audit_core.decisions.slots import Slot
from audit_core.decisions.table import DecisionTable, Floats
from audit_core.stats.disagreement import Conflict, list_orders, list_signs, magnitude
from audit_core.stats.estimates import Estimate

Rows = NDArray[np.int64]
LOCAL = 100
"""Most applicants whose local scores are averaged, spread over the file."""


def aggregate_scores(
    table: DecisionTable, rows: Rows, background: Rows, effects: Mapping[str, Estimate], *, seed: int
) -> tuple[tuple[AggregateRow, ...], tuple[Conflict, ...]]:
    """Size, spread and direction of each slot's local scores, and where they contradict its effect.

    Args:
        background: applicants whose values replace slots that a set leaves out.
        effects: per slot, the mean change of the preference when it goes from its first to its last level for everyone.
    """
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(LOCAL, len(rows))).round().astype(int))]
    methods: dict[str, Callable[[tuple[int, ...]], Floats]] = {
        "Shapley values": lambda row: shapley_of_row(table, row, background),
        "LIME": lambda row: lime_spread(table, row, background, seed=seed)[0],
    }
    found: list[AggregateRow] = []
    conflicts: list[Conflict] = []
    for method, score in methods.items():
        scores = np.array([score(tuple(row)) for row in chosen.tolist()])
        own = [
            summarise_slot(method, slot, chosen[:, at], scores[:, at], seed=seed) for at, slot in enumerate(table.slots)
        ]
        towards = {row.slot: row.toward for row in own if row.toward is not None}
        sizes = {slot: magnitude(effect) for slot, effect in effects.items()}
        conflicts += list_signs(method, towards, effects)
        conflicts += list_orders(method, {row.slot: row.size for row in own}, sizes)
        found += own
    return tuple(found), tuple(conflicts)


def summarise_slot(method: str, slot: Slot, levels: NDArray[np.int64], scores: Floats, *, seed: int) -> AggregateRow:
    """Mean size, spread, and direction of one slot's scores.

    The direction is the mean of φ at the last level and −φ at the first, so that it has the sign of the slot's effect
    where the two agree.

    Args:
        levels, scores: per applicant, shape (row,).
    """
    ends = (levels == 0) | (levels == len(slot.levels) - 1)
    signed = np.where(levels == 0, -scores, scores)[ends]
    return AggregateRow(
        method=method,
        slot=slot.name,
        size=average(np.abs(scores), seed=seed),
        spread=float(scores.std(ddof=1)),
        toward=average(signed, seed=seed) if len(signed) > 1 else None,
    )
