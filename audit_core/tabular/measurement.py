"""One run of the audit of tabular models: whether the model does the task, then what changing its inputs does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from audit_core.controls import NOISE_FACTOR, Controls
from audit_core.decisions.attributions import LIME_SEEDS, LIME_SETS, MOST_EXACT, permutation_importance
from audit_core.decisions.fairness import DELTA
from audit_core.decisions.measurement import describe_proxy, explain_no_task, list_misses, measure_auc
from audit_core.decisions.results import SurrogateRow, ThroughRow
from audit_core.decisions.slots import Slot
from audit_core.decisions.surrogate import check_fidelity, fit_additive, fit_tree
from audit_core.errors import ControlFailed
from audit_core.stats.disagreement import list_orders, magnitude
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.stats.shares import wilson
from audit_core.subject import Progress, Tables, no_progress
from audit_core.tabular.alternatives import MOST_PAIRED, cut_quarters, find_quarter, name_quarter
from audit_core.tabular.attributions import BACKGROUND, count_rows
from audit_core.tabular.cases import SHOWN, LocalScores, read_cases, score_rows
from audit_core.tabular.effects import (
    GRID,
    HIGH,
    LOW,
    REPEATS,
    Neighbours,
    accumulated_effects,
    individual_curves,
    make_grid,
    permuted_losses,
    put,
)
from audit_core.tabular.fairness import count_rows as count_through
from audit_core.tabular.fairness import read_groups, read_through
from audit_core.tabular.readable import compare_readable
from audit_core.tabular.results import FeatureRow, PointRow, TabularResult
from audit_core.tabular.retrain import rank_features, retrain_without
from audit_core.tabular.scoring import Scorer
from audit_core.tabular.table import Floats, TableTask

DRAWN, CURVES = 24, 20
"""Rows with local scores, and rows whose own curves are kept; both spread over the file."""
TOLERANCE = 1e-3
"""Largest change of a preference that is numerical noise; float32 sums in another order, and log odds enlarge it."""
_RULES = 60


def count_work(task: TableTask) -> int:
    """Rows that a run asks the model for, at most."""
    n_rows, n_features = task.rows.shape
    each = 2 + 1 + REPEATS + GRID + 2
    local = count_rows(n_features) + LIME_SEEDS * LIME_SETS
    paired = min(MOST_PAIRED, n_features)
    case = GRID * n_features + GRID**2 * paired * (paired - 1) // 2 + 2 ** min(6, n_features) * n_rows
    case += (n_features + 1) * n_rows // 4
    return n_rows * (4 + each * n_features) + DRAWN * local + SHOWN * case + count_through(task)


def measure_table(
    model: Tables, task: TableTask, *, seed: int = 0, on_progress: Progress = no_progress
) -> TabularResult:
    """Decide about all rows; if the model does the task, change its inputs, and fit models that can be read beside it.

    Args:
        model: such as `EstimatorTables(estimator, n_features)` for a fitted estimator of scikit-learn.

    Raises:
        Refused: the model cannot read the rows, or its outputs are of another kind.
        ControlFailed: a check of the instrument fails.
    """
    scorer = Scorer(model, task.reading, count_work(task), on_progress)
    values = scorer.read(task.rows)
    said_yes = wilson(int((values > 0).sum()), len(values), "of the rows")
    auc = None if task.outcomes is None else measure_auc(values, task.outcomes, seed=seed)
    why = explain_no_task(said_yes, auc).replace("applicants", "rows")
    spread = float(values.std(ddof=1))
    found = TabularResult(
        finding=why, does_task=not why, n=len(values), unit=scorer.unit,
        features=tuple(one.name for one in task.features), said_yes=said_yes, auc=auc, spread=spread,
        smallest=DELTA * spread, is_divided=task.is_divided, is_exact=len(task.features) <= MOST_EXACT,
    )  # fmt: skip
    if not why:
        found = _measure(scorer, task, values, found, seed)
    on_progress(scorer.total, scorer.total)
    return found


def _measure(scorer: Scorer, task: TableTask, values: Floats, found: TabularResult, seed: int) -> TabularResult:
    controls = check_model(scorer, task.rows, values, seed=seed)
    picks = np.linspace(0, len(values) - 1, min(DRAWN, len(values))).round().astype(int)
    drawn = tuple(map(int, np.unique(picks)))
    scores = score_rows(scorer, task, drawn, _take_background(task), seed=seed)
    by_feature = tuple(_read_feature(scorer, task, values, scores, at, seed) for at in range(len(task.features)))
    effects = {row.feature: magnitude(row.effect) for row in by_feature}
    through = read_through(scorer, task, found.smallest, seed=seed)
    retrained, why = retrain_without(task, rank_features(by_feature), seed=seed)
    return replace(
        found,
        finding=describe(by_feature, through),
        by_feature=by_feature,
        curves=_read_curves(scorer, task),
        cases=read_cases(scorer, task, values, scores, through, found.smallest),
        surrogates=fit_surrogates(task, values),
        readable=compare_readable(task, values, seed=seed),
        controls=controls,
        conflicts=list_orders("Shapley values", {row.feature: row.shapley for row in by_feature}, effects),
        through=through,
        groups=read_groups(task, values),
        retrained=retrained,
        not_retrained=why,
        misses=list_misses(_list_said(by_feature), through, found.smallest),
    )


def _list_said(by_feature: tuple[FeatureRow, ...]) -> dict[str, dict[str, float]]:
    return {
        row.feature: {
            "changing it alone": abs(row.effect.value), "permutation importance": row.permuted.value,
            "Shapley values": row.shapley.value, "LIME": row.lime.value,
        }
        for row in by_feature
    }  # fmt: skip


def _take_background(task: TableTask) -> Floats:
    picks = np.linspace(0, len(task.rows) - 1, min(BACKGROUND, len(task.rows))).round().astype(int)
    return task.rows[picks]


def check_model(scorer: Scorer, rows: Floats, values: Floats, *, seed: int) -> Controls:
    """Identity: rows in reverse order, with their own values written back, change nothing. Noise: shuffled columns do.

    Raises:
        ControlFailed: either does not hold.
    """
    identity = float(np.abs(scorer.read(put(rows[::-1], 0, rows[::-1, 0]))[::-1] - values).max())
    draw = np.random.default_rng(seed)
    noise = np.column_stack([draw.permutation(rows[:, at]) for at in range(rows.shape[1])])
    moved = float(np.ptp(np.concatenate([scorer.read(noise), values])))
    if identity > TOLERANCE:
        raise ControlFailed(f"The same row read twice differs by {identity:.3g}; no number is reported.")
    if moved <= NOISE_FACTOR * TOLERANCE:
        raise ControlFailed("No other numbers change the preference: the model does not read the table.")
    return Controls(identity, moved, TOLERANCE, len(rows) * 2)


def average(values: Floats, unit: str) -> Estimate:
    """Mean over independent rows with Student's interval."""
    from scipy.stats import t

    n = len(values)
    half = float(t.ppf((1 + LEVEL) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n))
    value = float(values.mean())
    return Estimate(value, value - half, value + half, n, unit, LEVEL)


def _read_feature(
    scorer: Scorer, task: TableTask, values: Floats, scores: LocalScores, at: int, seed: int
) -> FeatureRow:
    rows, unit = task.rows, scorer.unit
    low, high = (float(one) for one in np.quantile(rows[:, at], (LOW, HIGH)))
    before, after = (scorer.read(put(rows, at, value)) for value in (low, high))
    flipped = int(((before > 0) != (after > 0)).sum())
    loss = None
    if task.outcomes is not None and unit == "logits":
        loss = average(permuted_losses(scorer.read, rows, at, task.outcomes, values, seed=seed), "nats")
    return FeatureRow(
        feature=task.features[at].name,
        is_protected=task.features[at].is_protected,
        low=low,
        high=high,
        effect=average(after - before, unit),
        flipped=wilson(flipped, len(rows), "of the rows"),
        permuted=average(permutation_importance(scorer.read, rows, at, seed=seed), unit),
        loss=loss,
        shapley=average(np.abs([one.values[at] for one in scores.shapley]), unit),
        shapley_error=max(float(one.errors[at]) for one in scores.shapley),
        lime=average(np.abs([mean[at] for mean, _ in scores.lime]), unit),
        lime_spread=float(np.mean([spread[at] for _, spread in scores.lime])),
    )


def _read_curves(scorer: Scorer, task: TableTask) -> tuple[PointRow, ...]:
    rows, found = task.rows, []
    near = Neighbours(np.concatenate([rows, task.fit_rows]))
    kept = np.unique(np.linspace(0, len(rows) - 1, min(CURVES, len(rows))).round().astype(int))
    for at, feature in enumerate(task.features):
        grid = make_grid(rows[:, at])
        if len(grid) < 2:
            continue
        curves = individual_curves(scorer.read, rows, at, grid)
        local, counts = accumulated_effects(scorer.read, rows, at, grid)
        for place, value in enumerate(grid):
            own = curves[:, place]
            found.append(
                PointRow(
                    feature=feature.name, at=float(value), n=int(counts[place - 1]) if place else 0,
                    partial=average(own, scorer.unit), lowest=float(own.min()), highest=float(own.max()),
                    individual=tuple(map(float, own[kept])),
                    accumulated=float(local[place]) if np.isfinite(local[place]) else None,
                    impossible=float(near.is_far(put(rows, at, float(value))).mean()),
                )
            )  # fmt: skip
    return tuple(found)


def fit_surrogates(task: TableTask, values: Floats) -> tuple[SurrogateRow, ...]:
    """A sum of weights per quarter of each feature, and a short tree on quarters; every other row is held out."""
    edges = cut_quarters(task.rows)
    levels = find_quarter(edges, task.rows)
    slots = tuple(
        Slot(one.name, tuple(name_quarter(own, at) for at in range(len(own) + 1)), True)
        for one, own in zip(task.features, edges, strict=True)
    )
    fitted, held = levels[::2], levels[1::2]
    sums, tree = fit_additive(fitted, values[::2], slots), fit_tree(fitted, values[::2], slots)
    weights = tuple(
        f"{slot.name}: " + ", ".join(f"{word} {weight:+.2f}" for word, weight in zip(slot.levels, own, strict=True))
        for slot, own in zip(slots, sums.weights, strict=True)
    )
    rules = tuple(f"{rule}: {value:+.2f}" for rule, value in tree.list_rules(slots))
    found = []
    for name, surrogate, lines in (("sum of weights per quarter", sums, weights), ("short tree", tree, rules)):
        fidelity = check_fidelity(surrogate, held, values[1::2])
        found.append(SurrogateRow(name=name, same=fidelity.same, variance=fidelity.variance, rules=lines[:_RULES]))
    return tuple(found)


def describe(by_feature: tuple[FeatureRow, ...], through: tuple[ThroughRow, ...]) -> str:
    """The finding: a protected feature that acts through another, else the feature that acts most when moved alone."""
    if hidden := describe_proxy(through, {row.feature: row.flipped.value for row in by_feature}):
        return hidden
    most = max(by_feature, key=lambda row: abs(row.effect.value))
    low, high = most.effect.low or 0.0, most.effect.high or 0.0
    return (
        f"Moving {most.feature} alone from {most.low:.4g} to {most.high:.4g} in the model's input changes the preference "
        f"for yes by {most.effect.value:+.2f} {most.effect.unit} [{low:.2f}, {high:.2f}] and {100 * most.flipped.value:.0f} % "
        f"of decisions, the most of {len(by_feature)} features."
    )
