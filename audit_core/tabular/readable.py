"""Models that can be read directly, fitted on the outcomes: logistic regression, an explainable boosting machine, a short tree."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.stats.shares import wilson
from audit_core.tabular.results import ReadableRow
from audit_core.tabular.table import Floats, TableTask

Outcomes = NDArray[np.bool_]
LOGISTIC, BOOSTING, TREE = "logistic regression", "explainable boosting machine", "short tree"
DEPTH, LEAST_LEAF, LEAST_CLASS = 3, 5, 10
_DRAWS = 1_000
_MISSING = "not fitted: the package {} is not installed; `pip install 'assay[explain]'` brings it"
Fitted = tuple[Callable[[Floats], Floats], tuple[str, ...]]
"""Preference for yes of rows, above 0 for yes, and what the model is made of."""


def compare_readable(task: TableTask, preference: Floats, *, seed: int) -> tuple[ReadableRow, ...]:
    """Fit each readable model on the outcomes, and compare it with the audited one on rows that it was not fitted on.

    Args:
        preference: of the audited model, per measured row; shape (row,).
    """
    names = [one.name for one in task.features]
    makers: dict[str, Callable[[], Fitted]] = {
        LOGISTIC: lambda: fit_logistic(task.fit_rows, task.fit_outcomes, names),
        BOOSTING: lambda: fit_boosting(task.fit_rows, task.fit_outcomes, names, seed=seed),
        TREE: lambda: fit_short_tree(task.fit_rows, task.fit_outcomes, names),
    }
    return tuple(_compare(name, make, task, preference, seed) for name, make in makers.items())


def _compare(name: str, make: Callable[[], Fitted], task: TableTask, preference: Floats, seed: int) -> ReadableRow:
    held, outcomes = task.is_held_out, task.outcomes
    why = explain_unfit(task)
    fitted: Fitted | None = None
    if not why:
        try:
            fitted = make()
        except ModuleNotFoundError as error:
            why = _MISSING.format(str(error.name).split(".")[0])
    if fitted is None or outcomes is None:
        return ReadableRow(name=name, n_fit=0, auc=None, lead=None, same=None, rules=(), missing=why)
    own, other, right = fitted[0](task.rows[held]), preference[held], outcomes[held]
    auc, lead = compare_auc(own, other, right, seed=seed)
    same = wilson(int(((own > 0) == (other > 0)).sum()), len(own), "same decision")
    return ReadableRow(
        name=name, n_fit=len(task.fit_rows), auc=auc, lead=lead, same=same, rules=fitted[1], missing=""
    )  # fmt: skip


def explain_unfit(task: TableTask) -> str:
    """Why no readable model is fitted; empty if one can be."""
    if task.outcomes is None:
        return "not fitted: the file has no column with right answers"
    held = task.outcomes[task.is_held_out]
    least = min(min(side.sum(), (~side).sum()) for side in (task.fit_outcomes, held)) if len(task.fit_outcomes) else 0
    return "" if least >= LEAST_CLASS else f"not fitted: fewer than {LEAST_CLASS} rows of one outcome"


def compare_auc(own: Floats, other: Floats, outcomes: Outcomes, *, seed: int) -> tuple[Estimate, Estimate]:
    """AUC of the first preferences, and that of the others minus it, with percentile intervals over the same draws of rows."""
    draw = np.random.default_rng(seed)
    sizes = int(outcomes.sum()), int((~outcomes).sum())
    weights = [np.vstack([np.ones(n), draw.multinomial(n, np.full(n, 1 / n), size=_DRAWS)]) for n in sizes]
    drawn = []
    for values in (own, other):
        higher, lower = values[outcomes], values[~outcomes]
        wins = (higher[:, None] > lower) + 0.5 * (higher[:, None] == lower)
        drawn.append(((weights[0] @ wins) * weights[1]).sum(1) / wins.size)
    return _summarise(drawn[0], len(own), "AUC"), _summarise(drawn[1] - drawn[0], len(own), "AUC")


def _summarise(drawn: Floats, n: int, unit: str) -> Estimate:
    low, high = np.quantile(drawn[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    value = float(drawn[0])
    return Estimate(value, min(value, float(low)), max(value, float(high)), n, unit, LEVEL)


def fit_logistic(rows: Floats, outcomes: Outcomes, names: list[str]) -> Fitted:
    """Logistic regression on standardised features, with scikit-learn's ridge penalty of 1."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = rows.mean(0), np.where(rows.std(0) > 0, rows.std(0), 1.0)
    model = LogisticRegression(max_iter=1_000).fit((rows - mean) / spread, outcomes)
    weights = model.coef_[0]
    order = np.argsort(-np.abs(weights), kind="stable")
    rules = tuple(f"{names[at]}: {weights[at]:+.2f} logits for one standard deviation" for at in order)
    return lambda asked: np.asarray(model.decision_function((asked - mean) / spread), float), rules


def fit_short_tree(rows: Floats, outcomes: Outcomes, names: list[str]) -> Fitted:
    """A decision tree of at most three questions, with at least five rows at each end."""
    from sklearn.tree import DecisionTreeClassifier, export_text

    model = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=LEAST_LEAF, random_state=0).fit(rows, outcomes)
    text = export_text(model, feature_names=names, decimals=3, show_weights=False)
    lines = tuple(line.replace("class: True", "yes").replace("class: False", "no") for line in text.splitlines())
    return lambda asked: np.asarray(model.predict_proba(asked)[:, 1], float) - 0.5, lines


def fit_boosting(rows: Floats, outcomes: Outcomes, names: list[str], *, seed: int) -> Fitted:
    """An explainable boosting machine without interactions: a sum of one curve a feature.

    Source: Lou, Caruana and Gehrke 2012; Nori et al. 2019, arXiv:1909.09223.
    """
    from interpret.glassbox import ExplainableBoostingClassifier

    with warnings.catch_warnings():
        # It recommends dropping features of low variance, which is the file's business.
        warnings.simplefilter("ignore")
        model = ExplainableBoostingClassifier(
            interactions=0, outer_bags=4, max_rounds=2_000, n_jobs=1, random_state=seed, feature_names=names
        )
        model.fit(rows, outcomes)
        sizes = model.term_importances()
    order = np.argsort(-sizes, kind="stable")
    rules = tuple(f"{names[at]}: {sizes[at]:.2f} logits on average, in either direction" for at in order)
    return lambda asked: np.asarray(model.decision_function(asked), float), rules
