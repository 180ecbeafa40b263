"""Single applicants: local values, alternatives that were run, reasons of a denial, and an anchor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audit_core.decisions.anchors import find_anchor
from audit_core.decisions.attributions import BACKGROUND, shapley_of_row
from audit_core.decisions.counterfactuals import find_alternatives
from audit_core.decisions.curves import Support
from audit_core.decisions.reasons import describe_reasons, find_reasons, pick_narrow, word_reason
from audit_core.decisions.results import AlternativeRow, ApplicantRow, ReasonRow, ThroughRow
from audit_core.decisions.slots import Row
from audit_core.decisions.table import Decider, DecisionTable
from audit_core.decisions.task import DecisionTask
from audit_core.errors import ControlFailed, NotMeasured

Rows = NDArray[np.int64]
SHOWN = 12
"""Applicants with alternatives, reasons and anchor; denials first."""


def read_applicants(
    decider: Decider,
    task: DecisionTask,
    table: DecisionTable,
    rows: Rows,
    drawn: list[int],
    through: tuple[ThroughRow, ...],
    smallest: float,
) -> tuple[ApplicantRow, ...]:
    """The first drawn applicants, denials first."""
    support = Support(rows)
    order = sorted(drawn, key=lambda at: bool(table.values[task.rows[at]] > 0))[:SHOWN]
    proxies = {row.mediator for row in through if row.is_proxy}
    return tuple(_read(decider, task, table, rows, at, support, proxies, smallest) for at in order)


def _read(
    decider: Decider,
    task: DecisionTask,
    table: DecisionTable,
    rows: Rows,
    at: int,
    support: Support,
    proxies: set[str],
    smallest: float,
) -> ApplicantRow:
    row = task.rows[at]
    value = float(table.values[row])
    alternatives = find_alternatives(table, row, support)
    run_again(decider, tuple(one.row for one in alternatives), is_yes=value > 0)
    reasons = None
    if value <= 0:
        protected = [slot.is_protected for slot in task.slots]
        reasons = find_reasons(table.read, row, pick_narrow(rows, table.read(rows)), protected, least=smallest)
    try:
        anchor = find_anchor(table.read, row, rows[::2], rows[1::2])
    except NotMeasured:
        anchor = None
    return ApplicantRow(
        id=f"row {at + 1}",
        values=", ".join(name_level(task, slot, row[slot]) for slot in range(len(row))),
        is_yes=value > 0,
        preference=value,
        shapley=tuple(map(float, shapley_of_row(table, row, rows[::2][:BACKGROUND]))),
        alternatives=tuple(
            AlternativeRow(
                changes=", ".join(
                    f"{task.slots[slot].name}: {task.slots[slot].levels[row[slot]]} → {task.slots[slot].levels[one.row[slot]]}"
                    for slot in one.changed
                ),
                value=one.value,
                distance=one.distance,
                is_seen=one.is_seen,
            )
            for one in alternatives
        ),
        reasons=() if reasons is None else tuple(
            ReasonRow(
                slot=task.slots[one.slot].name, effect=one.effect,
                wording=word_reason(slot.name, slot.levels[row[one.slot]], slot.phrase), is_proxy=slot.name in proxies,
            )
            for one in reasons.found for slot in (task.slots[one.slot],)
        ),
        reasons_state="" if reasons is None else describe_reasons([slot.name for slot in task.slots], reasons),
        anchor="" if anchor is None else " and ".join(name_level(task, slot, row[slot]) for slot in anchor.slots),
        precision=None if anchor is None else anchor.precision,
        coverage=None if anchor is None else anchor.coverage,
    )  # fmt: skip


def run_again(decider: Decider, rows: tuple[Row, ...], *, is_yes: bool) -> None:
    """Run counterfactuals once more, by themselves.

    Raises:
        ControlFailed: one of them does not have the other decision.
    """
    if rows and ((np.asarray(decider.decide(rows)) > 0) == is_yes).any():
        raise ControlFailed("a counterfactual does not flip the decision when it is run again.")


def name_level(task: DecisionTask, slot: int, level: int) -> str:
    return f"{task.slots[slot].name} {task.slots[slot].levels[level]}"
