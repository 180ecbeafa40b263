"""Protected features of a table: how much of their effect passes through another feature, and rates by group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.decisions.fairness import association, divide_effect, rate, require_groups
from audit_core.decisions.results import GroupRow, ThroughRow
from audit_core.errors import NotMeasured
from audit_core.tabular.effects import GRID, put
from audit_core.tabular.scoring import Scorer
from audit_core.tabular.table import Floats, TableTask

FEW = 4
"""Most values of a protected feature that are groups of their own; one with more is divided at its median."""


@dataclass(frozen=True, eq=False)
class Group:
    """Rows of one group of a protected feature."""

    name: str
    value: float
    """What the feature is set to when a row is run as one of this group."""
    members: NDArray[np.bool_]
    """Shape (row,)."""


@dataclass(frozen=True, eq=False)
class Levels:
    """A feature cut into few levels."""

    points: Floats
    """What each level is run with; shape (level,)."""
    of_rows: NDArray[np.int64]
    """Shape (row,)."""


def divide_groups(values: Floats) -> tuple[Group, ...]:
    """Groups of a protected feature: its values, or the sides of its median, each run with its own median."""
    few = np.unique(values)
    if len(few) <= FEW:
        return tuple(Group(f"{value:.4g}", float(value), values == value) for value in few)
    middle = float(np.median(values))
    sides = ((f"≤ {middle:.4g}", values <= middle), (f"> {middle:.4g}", values > middle))
    return tuple(Group(name, float(np.median(values[own])), own) for name, own in sides if own.any())


def cut_levels(values: Floats) -> Levels:
    """The values of a feature with few of them; else as many parts of equal size, each run with its median."""
    few, place = np.unique(values, return_inverse=True)
    if len(few) <= GRID:
        return Levels(few, place)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, GRID + 1)[1:-1]))
    _, place = np.unique(np.searchsorted(edges, values, side="left"), return_inverse=True)
    return Levels(np.array([np.median(values[place == level]) for level in range(place.max() + 1)]), place)


def count_rows(task: TableTask) -> int:
    """Rows that `read_through` asks for, at most."""
    pairs = sum(one.is_protected for one in task.features) * (FEW - 1)
    return 2 * GRID * pairs * len(task.features) * len(task.rows)


def read_through(scorer: Scorer, task: TableTask, smallest: float, *, seed: int) -> tuple[ThroughRow, ...]:
    """Each protected feature, its first group against each other one, through each feature that is not protected.

    As for slots: see `decisions.fairness.mediate`.
    """
    found = []
    cut = [cut_levels(task.rows[:, at]) for at in range(len(task.features))]
    for attribute, protected in enumerate(task.features):
        groups = divide_groups(task.rows[:, attribute]) if protected.is_protected else ()
        for second in groups[1:]:
            for mediator, other in enumerate(task.features):
                pair = (groups[0], second)
                if not other.is_protected and (
                    row := _mediate(scorer, task, (attribute, mediator), pair, cut[mediator], smallest, seed)
                ):
                    found.append(row)
    return tuple(found)


def _mediate(
    scorer: Scorer,
    task: TableTask,
    places: tuple[int, int],
    groups: tuple[Group, Group],
    levels: Levels,
    smallest: float,
    seed: int,
) -> ThroughRow | None:
    """One row; None where a group is too small."""
    attribute, mediator = places
    members = [group.members for group in groups]
    try:
        require_groups(members)
    except NotMeasured:
        return None
    values = np.stack([
        scorer.read(
            np.stack([put(put(task.rows, attribute, group.value), mediator, point) for point in levels.points], axis=1)
        )
        for group in groups
    ])  # fmt: skip
    is_level = np.eye(len(levels.points))[levels.of_rows]
    through = divide_effect(values, is_level, members, unit=scorer.unit, seed=seed)
    low, high = through.indirect.low or 0.0, through.indirect.high or 0.0
    either = np.flatnonzero(members[0] | members[1])
    coded = np.column_stack([members[1], levels.of_rows])[either].astype(np.int64)
    return ThroughRow(
        attribute=task.features[attribute].name, first=groups[0].name, second=groups[1].name,
        mediator=task.features[mediator].name, total=through.total, indirect=through.indirect, direct=through.direct,
        association=association(coded, 0, 1), is_proxy=low > smallest or high < -smallest,
    )  # fmt: skip


def read_groups(task: TableTask, preference: Floats) -> tuple[GroupRow, ...]:
    """Rates of yes in every group of every protected feature, over the measured rows as they are."""
    decided, right = preference > 0, task.outcomes
    return tuple(
        GroupRow(
            attribute=one.name, level=group.name, n=int(group.members.sum()), selected=rate(decided, group.members),
            true_positive=None if right is None else rate(decided, group.members & right),
            false_positive=None if right is None else rate(decided, group.members & ~right),
        )
        for at, one in enumerate(task.features)
        if one.is_protected
        for group in divide_groups(task.rows[:, at])
    )  # fmt: skip
