"""One run of the audit of decisions: whether the model does the task, then every combination, then what is read off them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audit_core.decisions import people
from audit_core.decisions.aggregation import aggregate_scores
from audit_core.decisions.attributions import BACKGROUND, lime_spread, permutation_importance, shapley_of_row
from audit_core.decisions.concepts import count_runs, measure_slot_concepts
from audit_core.decisions.curves import Support, accumulated_effects, individual_curves
from audit_core.decisions.fairness import DELTA, association, average, flip, mediate, rate
from audit_core.decisions.results import (
    CurveRow,
    DecisionsResult,
    GroupRow,
    SlotRow,
    SurrogateRow,
    ThroughRow,
)
from audit_core.decisions.surrogate import Additive, Tree, check_fidelity, fit_additive, fit_tree
from audit_core.decisions.table import UNIT, Decider, DecisionTable, Floats, check_table, fill_table
from audit_core.decisions.task import DecisionTask
from audit_core.errors import NotMeasured
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.stats.shares import wilson
from audit_core.subject import Progress, no_progress

Rows = NDArray[np.int64]
DRAWN = 24
"""Applicants with local values, spread over the file."""
_DRAWS = 1_000
LEAST_YES = 0.05
"""A model that gives one answer to more than 95 % of applicants does not do the task."""


def measure_decisions(
    decider: Decider, task: DecisionTask, *, seed: int, on_progress: Progress = no_progress
) -> DecisionsResult:
    """Decide about all applicants; if the model does the task, about all combinations, and read everything off them.

    Raises:
        Refused: the decider cannot read the rows.
        ControlFailed: Shapley values do not add up, or a counterfactual does not flip the decision when it is run again.
    """
    rows = np.array(task.rows, dtype=np.int64)
    cells = int(np.prod([len(slot.levels) for slot in task.slots]))
    n_concepts = count_runs(decider, len(rows), len(task.slots))
    total = len(rows) + cells + n_concepts
    values = np.asarray(decider.decide(task.rows, on_progress=_part(0, len(rows), total, on_progress)), float)
    said_yes = wilson(int((values > 0).sum()), len(rows), "of the applicants")
    outcomes = np.array(task.outcomes) if task.outcomes else None
    auc = None if outcomes is None else measure_auc(values, outcomes, seed=seed)
    why = explain_no_task(said_yes, auc)
    spread = float(values.std(ddof=1))
    found = DecisionsResult(
        finding=why,
        does_task=not why,
        n=len(rows),
        unit=UNIT,
        slots=tuple(slot.name for slot in task.slots),
        said_yes=said_yes,
        auc=auc,
        spread=spread,
        smallest=DELTA * spread,
        n_combinations=cells,
    )
    if why:
        on_progress(total, total)
        return found
    table = fill_table(decider, task.slots, on_progress=_part(len(rows), cells, total, on_progress))
    controls = check_table(decider, table, rows, values)
    concepts, why = measure_slot_concepts(decider, task.rows, spread, seed=seed)
    on_progress(total, total)
    reading = _Reading(task, table, rows, found.smallest, seed)
    through = reading.read_through()
    by_slot = reading.read_slots()
    aggregates, conflicts = aggregate_scores(
        table, rows, reading.background, {row.slot: row.effect for row in by_slot}, seed=seed
    )
    return replace(
        found,
        finding=describe(task, by_slot, through),
        by_slot=by_slot,
        curves=reading.read_curves(),
        through=through,
        groups=reading.read_groups(outcomes),
        applicants=people.read_applicants(decider, task, table, rows, reading.drawn, through, found.smallest),
        surrogates=reading.read_surrogates(),
        misses=list_misses(_list_said(by_slot), through, found.smallest),
        controls=controls,
        aggregates=aggregates,
        conflicts=conflicts,
        concepts=concepts,
        no_concepts=why,
    )


def _part(before: int, own: int, total: int, on_progress: Progress) -> Progress:
    return lambda done, of: on_progress(before + own * min(done, of) // max(1, of), total)


def measure_auc(values: Floats, outcomes: NDArray[np.bool_], *, seed: int) -> Estimate | None:
    """Area under the ROC curve with a percentile interval over applicants; None where only one outcome occurs."""
    if outcomes.all() or not outcomes.any():
        return None
    higher, lower = values[outcomes], values[~outcomes]
    wins = (higher[:, None] > lower) + 0.5 * (higher[:, None] == lower)
    draw = np.random.default_rng(seed)
    weights = [draw.multinomial(len(side), np.full(len(side), 1 / len(side)), size=_DRAWS) for side in (higher, lower)]
    drawn = np.einsum("da,ab,db->d", weights[0], wins, weights[1], optimize=True) / wins.size
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(wins.mean()), float(low), float(high), len(values), "AUC", LEVEL)


def explain_no_task(said_yes: Estimate, auc: Estimate | None) -> str:
    """Why nothing is measured: the model does not do the task; empty if it does."""
    if not LEAST_YES <= said_yes.value <= 1 - LEAST_YES:
        return (
            f"The model does not do this task: it says yes to {100 * said_yes.value:.0f} % of {said_yes.n} applicants. "
            "Nothing else was measured."
        )
    if auc is not None and auc.low is not None and auc.low <= 0.5:
        return (
            f"The model does not do this task: it orders applicants no better than chance, AUC {auc.value:.2f} "
            f"[{auc.low:.2f}, {auc.high:.2f}]. Nothing else was measured."
        )
    return ""


class _Reading:
    """Everything that is read off the table."""

    def __init__(self, task: DecisionTask, table: DecisionTable, rows: Rows, smallest: float, seed: int) -> None:
        self.task, self.table, self.rows, self.smallest, self.seed = task, table, rows, smallest, seed
        # Even rows fit surrogates and replace left-out slots; odd rows are held out.
        self.fitted, self.held = rows[::2], rows[1::2]
        self.drawn = [int(at) for at in np.unique(np.linspace(0, len(rows) - 1, DRAWN).round())]
        self.support = Support(rows)

    def average(self, values: Floats) -> Estimate:
        return average(values, seed=self.seed)

    @property
    def background(self) -> Rows:
        return self.fitted[:BACKGROUND]

    def read_slots(self) -> tuple[SlotRow, ...]:
        people_ = [self.task.rows[at] for at in self.drawn]
        shapley = np.array([shapley_of_row(self.table, row, self.background) for row in people_])
        lime = [lime_spread(self.table, row, self.background, seed=self.seed) for row in people_]
        weights = self.fit_additive().weights
        found = []
        for at, slot in enumerate(self.task.slots):
            moved = flip(self.table, self.rows, at, 0, len(slot.levels) - 1, seed=self.seed)
            found.append(
                SlotRow(
                    slot=slot.name,
                    is_protected=slot.is_protected,
                    effect=moved.effect,
                    flipped=moved.flipped,
                    permuted=self.average(permutation_importance(self.table.read, self.held, at, seed=self.seed)),
                    shapley=self.average(np.abs(shapley[:, at])),
                    lime=self.average(np.abs(np.array([mean[at] for mean, _ in lime]))),
                    lime_spread=float(np.mean([spread[at] for _, spread in lime])),
                    surrogate=weights[at][-1],
                )
            )
        return tuple(found)

    def read_curves(self) -> tuple[CurveRow, ...]:
        found = []
        for at, slot in enumerate(self.task.slots):
            n_levels = len(slot.levels)
            curves = individual_curves(self.table.read, self.rows, at, n_levels)
            local = accumulated_effects(self.table.read, self.rows, at, n_levels)[0] if slot.is_ordered else None
            impossible = self.support.share_unseen(at, n_levels)
            for level, word in enumerate(slot.levels):
                known = local is not None and np.isfinite(local[level])
                found.append(
                    CurveRow(
                        slot=slot.name,
                        level=word,
                        n=int((self.rows[:, at] == level).sum()),
                        partial=self.average(curves[:, level]),
                        lowest=float(curves[:, level].min()),
                        highest=float(curves[:, level].max()),
                        accumulated=float(local[level]) if known and local is not None else None,
                        impossible=impossible,
                    )
                )
        return tuple(found)

    def read_through(self) -> tuple[ThroughRow, ...]:
        """Each protected attribute, first against each other level, through each slot that is not protected."""
        found = []
        for attribute in self.task.protected:
            slot = self.task.slots[attribute]
            for second in range(1, len(slot.levels)):
                for mediator, other in enumerate(self.task.slots):
                    if other.is_protected:
                        continue
                    try:
                        through = mediate(self.table, self.rows, attribute, mediator, 0, second, seed=self.seed)
                    except NotMeasured:
                        continue
                    low, high = through.indirect.low or 0.0, through.indirect.high or 0.0
                    found.append(
                        ThroughRow(
                            attribute=slot.name,
                            first=slot.levels[0],
                            second=slot.levels[second],
                            mediator=other.name,
                            total=through.total,
                            indirect=through.indirect,
                            direct=through.direct,
                            association=association(self.rows, attribute, mediator),
                            is_proxy=low > self.smallest or high < -self.smallest,
                        )
                    )
        return tuple(found)

    def read_groups(self, outcomes: NDArray[np.bool_] | None) -> tuple[GroupRow, ...]:
        decided = self.table.read(self.rows) > 0
        found = []
        for at in self.task.protected:
            for level, word in enumerate(self.task.slots[at].levels):
                own = self.rows[:, at] == level
                found.append(
                    GroupRow(
                        attribute=self.task.slots[at].name,
                        level=word,
                        n=int(own.sum()),
                        selected=rate(decided, own),
                        true_positive=None if outcomes is None else rate(decided, own & outcomes),
                        false_positive=None if outcomes is None else rate(decided, own & ~outcomes),
                    )
                )
        return tuple(found)

    def fit_additive(self) -> Additive:
        return fit_additive(self.fitted, self.table.read(self.fitted), self.task.slots)

    def read_surrogates(self) -> tuple[SurrogateRow, ...]:
        fitted, held = self.table.read(self.fitted), self.table.read(self.held)
        tree = fit_tree(self.fitted, fitted, self.task.slots)
        sums = self.fit_additive()
        rules = {
            "sum of weights per level": tuple(
                f"{slot.name}: "
                + ", ".join(f"{word} {weight:+.2f}" for word, weight in zip(slot.levels, own, strict=True))
                for slot, own in zip(self.task.slots, sums.weights, strict=True)
            ),
            "short tree": tuple(f"{rule}: {value:+.2f}" for rule, value in tree.list_rules(self.task.slots)),
        }
        found = []
        fits: tuple[Additive | Tree, ...] = (sums, tree)
        for name, surrogate in zip(rules, fits, strict=True):
            fidelity = check_fidelity(surrogate, self.held, held)
            found.append(SurrogateRow(name=name, same=fidelity.same, variance=fidelity.variance, rules=rules[name]))
        return tuple(found)


def _list_said(by_slot: tuple[SlotRow, ...]) -> dict[str, dict[str, float]]:
    return {
        row.slot: {
            "changing it alone": abs(row.effect.value), "permutation importance": row.permuted.value,
            "Shapley values": row.shapley.value, "LIME": row.lime.value, "the additive surrogate": abs(row.surrogate),
        }
        for row in by_slot
    }  # fmt: skip


def list_misses(
    said: Mapping[str, Mapping[str, float]], through: tuple[ThroughRow, ...], smallest: float
) -> tuple[str, ...]:
    """Methods that show less than the smallest effect of interest of an attribute that acts through another slot.

    Args:
        said: sizes by attribute and method.
    """
    hidden = {row.attribute for row in through if row.is_proxy}
    return tuple(
        f"{name}: {method}"
        for name, sizes in said.items()
        if name in hidden
        for method, size in sizes.items()
        if size < smallest
    )


def describe_proxy(through: tuple[ThroughRow, ...], flipped: Mapping[str, float]) -> str:
    """The largest effect of a protected attribute through another slot, in a sentence; empty if there is none.

    Args:
        flipped: share of decisions that changing each attribute alone changes.
    """
    proxies = [row for row in through if row.is_proxy]
    if not proxies:
        return ""
    most = max(proxies, key=lambda row: abs(row.indirect.value))
    low, high = most.indirect.low or 0.0, most.indirect.high or 0.0
    return (
        f"Changing {most.attribute} alone changes {100 * flipped[most.attribute]:.0f} % of decisions. Through "
        f"{most.mediator}, {most.second} instead of {most.first} moves the preference for yes by "
        f"{most.indirect.value:+.2f} {most.indirect.unit} [{low:.2f}, {high:.2f}]."
    )


def describe(task: DecisionTask, by_slot: tuple[SlotRow, ...], through: tuple[ThroughRow, ...]) -> str:
    """The finding: protected attributes first, else the slot that acts most."""
    if hidden := describe_proxy(through, {row.slot: row.flipped.value for row in by_slot}):
        return hidden
    most_slot = max(by_slot, key=lambda row: abs(row.effect.value))
    return (
        f"Changing {most_slot.slot} alone changes {100 * most_slot.flipped.value:.0f} % of decisions, the most of "
        f"{len(task.slots)} slots. No protected attribute acts through another slot beyond the smallest effect."
    )
