"""Single rows: local scores, alternatives that were run again, and an anchor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit_core.decisions.attributions import lime_spread
from audit_core.decisions.reasons import describe_reasons, find_reasons, pick_narrow, word_reason
from audit_core.decisions.results import ReasonRow, ThroughRow
from audit_core.errors import ControlFailed, NotMeasured
from audit_core.tabular.alternatives import (
    Alternative,
    cut_quarters,
    find_alternatives,
    find_quarter,
    find_row_anchor,
    name_quarter,
)
from audit_core.tabular.attributions import ShapleyValues, shapley_of_row
from audit_core.tabular.effects import Neighbours
from audit_core.tabular.results import CaseRow, ChangeRow
from audit_core.tabular.scoring import Scorer
from audit_core.tabular.table import Floats, TableTask

SHOWN = 12
"""Rows with alternatives and anchor; those with a no first."""


@dataclass(frozen=True, eq=False)
class LocalScores:
    """Scores of the drawn rows."""

    drawn: tuple[int, ...]
    shapley: tuple[ShapleyValues, ...]
    lime: tuple[tuple[Floats, Floats], ...]
    """Mean and standard deviation over seeds, per drawn row."""


def score_rows(
    scorer: Scorer, task: TableTask, drawn: tuple[int, ...], background: Floats, *, seed: int
) -> LocalScores:
    """Shapley values and LIME of the drawn rows, against the same background rows."""
    return LocalScores(
        drawn,
        tuple(shapley_of_row(scorer.read, task.rows[at], background, seed=seed) for at in drawn),
        tuple(lime_spread(scorer, task.rows[at], background, seed=seed) for at in drawn),
    )


@dataclass(frozen=True, eq=False)
class _Around:
    """What every row is compared with."""

    task: TableTask
    preference: Floats
    near: Neighbours
    edges: list[Floats]
    narrow: Floats
    """Rows with a narrow yes; shape (row, feature)."""
    proxies: frozenset[str]
    smallest: float


def read_cases(
    scorer: Scorer,
    task: TableTask,
    preference: Floats,
    scores: LocalScores,
    through: tuple[ThroughRow, ...],
    smallest: float,
) -> tuple[CaseRow, ...]:
    """The first drawn rows, those with a no first."""
    near, edges = Neighbours(np.concatenate([task.rows, task.fit_rows])), cut_quarters(task.rows)
    order = sorted(range(len(scores.drawn)), key=lambda place: bool(preference[scores.drawn[place]] > 0))[:SHOWN]
    proxies = frozenset(row.mediator for row in through if row.is_proxy)
    around = _Around(task, preference, near, edges, pick_narrow(task.rows, preference), proxies, smallest)
    return tuple(_read(scorer, around, scores, place) for place in order)


def _read(scorer: Scorer, around: _Around, scores: LocalScores, place: int) -> CaseRow:
    task, preference, edges, at = around.task, around.preference, around.edges, scores.drawn[place]
    row, value, own = task.rows[at], float(preference[at]), scores.shapley[place]
    names = [one.name for one in task.features]
    alternatives = find_alternatives(scorer.read, row, task.rows, task.features, around.near)
    run_again(scorer, alternatives, is_yes=value > 0)
    reasons, state = _read_reasons(scorer, around, row) if value <= 0 else ((), "")
    quarters = find_quarter(edges, row)
    try:
        others = np.delete(task.rows, at, axis=0)
        anchor, used = find_row_anchor(scorer.read, row, others, edges, np.abs(own.values))
    except NotMeasured:
        anchor, used = None, ()
    return CaseRow(
        id=f"row {at + 1}",
        values=", ".join(f"{name} {number:.4g}" for name, number in zip(names, row, strict=True)),
        is_yes=value > 0,
        preference=value,
        shapley=tuple(map(float, own.values)),
        shapley_errors=tuple(map(float, own.errors)),
        lime=tuple(map(float, scores.lime[place][0])),
        lime_spread=tuple(map(float, scores.lime[place][1])),
        alternatives=tuple(
            ChangeRow(
                changes=", ".join(f"{names[f]}: {row[f]:.4g} → {one.row[f]:.4g}" for f in one.changed),
                value=one.value, distance=one.distance, is_far=one.is_far,
            )
            for one in alternatives
        ),
        anchor=" and ".join(f"{names[f]} {name_quarter(edges[f], int(quarters[f]))}" for f in used),
        precision=None if anchor is None else anchor.precision,
        coverage=None if anchor is None else anchor.coverage,
        reasons=reasons,
        reasons_state=state,
    )  # fmt: skip


def _read_reasons(scorer: Scorer, around: _Around, row: Floats) -> tuple[tuple[ReasonRow, ...], str]:
    """Principal reasons of a no, and whether they hold together."""
    features = around.task.features
    found = find_reasons(
        scorer.read, tuple(row), around.narrow, [one.is_protected for one in features], least=around.smallest
    )
    rows = tuple(
        ReasonRow(
            slot=name,
            wording=word_reason(name, f"{row[one.slot]:.4g}"),
            effect=one.effect,
            is_proxy=name in around.proxies,
        )
        for one in found.found
        for name in [features[one.slot].name]
    )
    return rows, describe_reasons([one.name for one in features], found)


def run_again(scorer: Scorer, alternatives: tuple[Alternative, ...], *, is_yes: bool) -> None:
    """Run counterfactuals once more, by themselves.

    Raises:
        ControlFailed: one of them does not have the other decision.
    """
    if alternatives and ((scorer.read(np.array([one.row for one in alternatives])) > 0) == is_yes).any():
        raise ControlFailed("a counterfactual does not flip the decision when it is run again.")
