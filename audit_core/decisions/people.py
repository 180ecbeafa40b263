"""Single applicants: local values, alternatives that were run, reasons of a denial, and an anchor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audit_core.decisions.anchors import find_anchor
from audit_core.decisions.attributions import BACKGROUND, shapley_of_row
from audit_core.decisions.counterfactuals import Reasons, find_alternatives, find_reasons
from audit_core.decisions.curves import Support
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
    reasons = None if value > 0 else find_reasons(table, row, rows, least=smallest)
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
                slot=task.slots[one.slot].name, wording=word_reason(task, one.slot, row), effect=one.effect,
                is_proxy=task.slots[one.slot].name in proxies,
            )
            for one in reasons.found
        ),
        reasons_state="" if reasons is None else describe_reasons(task, reasons),
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


def word_reason(task: DecisionTask, slot: int, row: Row) -> str:
    """A specific reason in the form of a statement of reasons: the factor, and its value in this application."""
    name = task.slots[slot].name
    return f"{name[:1].upper()}{name[1:]}: {task.slots[slot].levels[row[slot]]}"


def describe_reasons(task: DecisionTask, reasons: Reasons) -> str:
    """Whether the reasons hold, in a sentence."""
    if reasons.protected:
        names = " and ".join(task.slots[one.slot].name for one in reasons.protected)
        return f"Not established: the protected attribute {names} is among the principal factors. A person must look at this."
    if not reasons.found:
        return "Not established: no slot alone raises the preference."
    share = f"{100 * reasons.flips_together:.0f} %"
    if not reasons.is_established:
        return f"Not established: together they turn the decision with {share} of applicants with a narrow yes."
    return f"Established by running: together they turn the decision with {share} of applicants with a narrow yes."
