"""Shapley values of the features of one row: exact up to ten features, sampled beyond with its standard error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit_core.decisions.attributions import EFFICIENCY, MOST_EXACT, shapley
from audit_core.errors import ControlFailed
from audit_core.tabular.effects import Decide
from audit_core.tabular.table import Floats

BACKGROUND = 50
"""Rows whose values replace features that are left out."""
PAIRS = 100
"""Random orders of features, each with its reverse, where there are too many features for all sets."""


@dataclass(frozen=True, eq=False)
class ShapleyValues:
    """One value a feature, in the model's unit."""

    values: Floats
    errors: Floats
    """Standard error of sampling, per feature; 0 where the values are exact."""


def count_rows(n_features: int) -> int:
    """Rows that `shapley_of_row` asks for."""
    return 2**n_features * BACKGROUND if n_features <= MOST_EXACT else 2 * PAIRS * (n_features + 1)


def shapley_of_row(decide: Decide, row: Floats, background: Floats, *, seed: int) -> ShapleyValues:
    """Interventional Shapley values: features outside a set come from background rows.

    Args:
        row: shape (feature,).
        background: shape (row, feature).

    Raises:
        ControlFailed: the values do not add up to the change that they divide, within 1e-6.

    Source: Shapley 1953; Lundberg and Lee 2017, arXiv:1705.07874; Mitchell et al. 2022, arXiv:2104.12199 (reversed orders).
    """
    n = len(row)
    if n > MOST_EXACT:
        return _sample(decide, row, background, seed)
    masks = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1
    worth = np.concatenate([
        decide(np.where(part[:, None, :], row, background[None])).mean(1) for part in np.array_split(masks, max(1, 2**n // 256))
    ])  # fmt: skip
    found = shapley(lambda kept: float(worth[sum(1 << at for at in kept)]), n)
    return ShapleyValues(found, np.zeros(n))


def _sample(decide: Decide, row: Floats, background: Floats, seed: int) -> ShapleyValues:
    n, draw = len(row), np.random.default_rng(seed)
    orders = np.stack([draw.permutation(n) for _ in range(PAIRS)])
    others = background[draw.integers(len(background), size=PAIRS)]
    found = np.zeros((PAIRS, n))
    for turned in (orders, orders[:, ::-1]):
        rank = np.argsort(turned, axis=1)
        # Shape (pair, step, feature): after k steps the first k features of the order are the row's own.
        kept = rank[:, None, :] < np.arange(n + 1)[None, :, None]
        values = decide(np.where(kept, row, others[:, None, :]))
        np.put_along_axis(gains := np.zeros((PAIRS, n)), turned, np.diff(values, axis=1), axis=1)
        found += gains / 2
    gap = abs(found.sum(1).mean() - float(decide(row[None])[0] - decide(others).mean()))
    if gap > EFFICIENCY:
        raise ControlFailed(f"Sampled Shapley values miss the change they divide by {gap:.2g}.")
    return ShapleyValues(found.mean(0), found.std(0, ddof=1) / np.sqrt(PAIRS))
