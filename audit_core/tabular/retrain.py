"""Remove and retrain: what a model trained without a method's first features loses, beside random features.

It says what the other features still hold, and not what the audited model uses: a feature with a copy costs nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.tabular.readable import explain_unfit
from audit_core.tabular.results import FeatureRow, RetrainRow
from audit_core.tabular.table import Floats, TableTask

SHARES = (0.2, 0.5)
"""Of the features, removed at once; at least one."""
RANDOM_SETS = 30
"""Random sets of features of each size; all of them where there are fewer."""
MORE, LIKE_RANDOM, LESS = "loses more than random", "like random", "loses less than random"
UNIT = "AUC"
_DRAWS = 1_000
_MISSING = "not retrained: the package sklearn is not installed; `pip install 'assay[explain]'` brings it"
Outcomes = NDArray[np.bool_]
Kept = tuple[int, ...]


def rank_features(rows: Sequence[FeatureRow]) -> dict[str, list[int]]:
    """Features by each method, the largest score first; a tie keeps the file's order."""
    sizes: dict[str, list[float]] = {
        "moving it alone": [abs(row.effect.value) for row in rows],
        "permutation importance": [row.permuted.value if row.loss is None else row.loss.value for row in rows],
        "Shapley values": [row.shapley.value for row in rows],
        "LIME": [row.lime.value for row in rows],
    }
    return {name: [int(at) for at in np.argsort(-np.array(own), kind="stable")] for name, own in sizes.items()}


def retrain_without(task: TableTask, orders: dict[str, list[int]], *, seed: int) -> tuple[tuple[RetrainRow, ...], str]:
    """Rows per method and share, and why there are none; empty if there are.

    The retrained model is scikit-learn's gradient boosting of 30 trees of depth 2, without subsampling, so that training adds
    no noise. Intervals are over the rows that nothing is fitted on.

    Source: Hooker et al. 2019, arXiv:1806.10758 (ROAR), by feature of the table instead of by pixel of each image.
    """
    if why := explain_unfit(task).replace("not fitted", "not retrained"):
        return (), why
    try:
        measure = _Retrained(task, seed).measure
        whole = measure(tuple(range(len(task.features))))
    except ModuleNotFoundError:
        return (), _MISSING
    found = []
    n = len(task.features)
    for share in SHARES:
        size = min(n - 1, max(1, round(share * n)))
        others = [whole - measure(_without(n, gone)) for gone in draw_sets(n, size, seed=seed)]
        random = np.mean(others, axis=0)
        for name, order in orders.items():
            gone = tuple(sorted(order[:size]))
            lost = whole - measure(_without(n, gone))
            gain = _summarise(lost - random, task)
            found.append(
                RetrainRow(
                    method=name, share=share, removed=", ".join(task.features[at].name for at in gone),
                    whole=_summarise(whole, task), lost=_summarise(lost, task), random=_summarise(random, task),
                    lowest=float(min(one[0] for one in others)), highest=float(max(one[0] for one in others)),
                    gain=gain, says=_say(gain),
                )
            )  # fmt: skip
    return tuple(found), ""


def draw_sets(n: int, size: int, *, seed: int) -> list[Kept]:
    """Different sets of features of one size, in random order; all of them where there are at most `RANDOM_SETS`."""
    if comb(n, size) <= RANDOM_SETS:
        return list(combinations(range(n), size))
    draw = np.random.default_rng([seed, size])
    found: dict[Kept, None] = {}
    while len(found) < RANDOM_SETS:
        found[tuple(sorted(map(int, draw.choice(n, size, replace=False))))] = None
    return list(found)


def _without(n: int, gone: Kept) -> Kept:
    return tuple(at for at in range(n) if at not in gone)


class _Retrained:
    """AUC of models trained on some features, on the rows that nothing is fitted on; each set is trained once."""

    def __init__(self, task: TableTask, seed: int) -> None:
        assert task.outcomes is not None
        self.task, self.held, self.right = task, task.rows[task.is_held_out], task.outcomes[task.is_held_out]
        draw = np.random.default_rng(seed)
        sizes = int(self.right.sum()), int((~self.right).sum())
        # The first row is the sample itself.
        self.weights = [
            np.vstack([np.ones(n), draw.multinomial(n, np.full(n, 1 / n), size=_DRAWS)]) for n in sizes
        ]  # fmt: skip
        self.known: dict[Kept, Floats] = {}

    def measure(self, kept: Kept) -> Floats:
        """AUC of the sample and of each draw of rows; shape (1 + draw,)."""
        if kept not in self.known:
            columns = list(kept)
            score = _fit(self.task.fit_rows[:, columns], self.task.fit_outcomes)
            self.known[kept] = self._rank(score(self.held[:, columns]))
        return self.known[kept]

    def _rank(self, values: Floats) -> Floats:
        higher, lower = values[self.right], values[~self.right]
        wins = (higher[:, None] > lower) + 0.5 * (higher[:, None] == lower)
        found: Floats = ((self.weights[0] @ wins) * self.weights[1]).sum(1) / wins.size
        return found


def _fit(rows: Floats, outcomes: Outcomes) -> Callable[[Floats], Floats]:
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(n_estimators=30, max_depth=2, random_state=0).fit(rows, outcomes)
    return lambda asked: np.asarray(model.decision_function(asked), float)


def _summarise(drawn: Floats, task: TableTask) -> Estimate:
    low, high = np.quantile(drawn[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    value = float(drawn[0])
    n = int(task.is_held_out.sum())
    return Estimate(value, min(value, float(low)), max(value, float(high)), n, UNIT, LEVEL)


def _say(gain: Estimate) -> str:
    if gain.low is None or gain.high is None or gain.low <= 0 <= gain.high:
        return LIKE_RANDOM
    return MORE if gain.low > 0 else LESS
