"""A linear fit by least squares, with intervals that hold where the spread of the residuals differs between rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from audit_core.errors import NotMeasured
from audit_core.stats.estimates import LEVEL, Estimate

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearFit:
    """Weights of a fit; `predict` applies them to other rows."""

    intercept: float
    weights: Array
    """Shape (column,)."""
    errors: Array
    """Standard errors of the weights; shape (column,)."""
    n: int
    """Rows that it was fitted on."""

    def predict(self, rows: Array) -> Array:
        """Fitted values; shape (row, column) → (row,)."""
        found: Array = self.intercept + rows @ self.weights
        return found

    def estimate(self, column: int, unit: str) -> Estimate:
        """A weight with Student's interval."""
        value = float(self.weights[column])
        half = float(-stdtrit(self.n - len(self.weights) - 1, (1 - LEVEL) / 2) * self.errors[column])
        return Estimate(value, value - half, value + half, self.n, unit, LEVEL)


def fit_linear(rows: Array, values: Array) -> LinearFit:
    """Least squares with an intercept; standard errors HC3.

    Args:
        rows: shape (row, column).
        values: shape (row,).

    Raises:
        NotMeasured: the rows do not distinguish the columns, or there are too few.

    Source: MacKinnon and White 1985 (HC3).
    """
    design = np.column_stack([np.ones(len(rows)), rows])
    if len(design) <= design.shape[1] or np.linalg.matrix_rank(design) < design.shape[1]:
        raise NotMeasured("low_power", f"{len(rows)} rows do not distinguish {rows.shape[1]} columns.")
    inverse = np.linalg.inv(design.T @ design)
    found = inverse @ (design.T @ values)
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    scaled = (values - design @ found) / np.maximum(1 - leverage, 1e-9)
    spread = inverse @ (design.T * scaled**2) @ design @ inverse
    return LinearFit(float(found[0]), found[1:], np.sqrt(np.maximum(np.diag(spread), 0))[1:], len(rows))


def spearman_interval(value: float, n: int, unit: str) -> Estimate:
    """A Spearman correlation of n pairs with its interval by Fisher's z; no interval for fewer than five.

    Source: Bonett and Wright 2000, variance (1 + ρ² / 2) / (n − 3).
    """
    if n < 5:
        return Estimate(value, None, None, n, unit, None)
    from scipy.special import ndtri

    # A correlation of 1 has no finite z: it is taken as that of one exchange of neighbours.
    inner = float(np.clip(value, -1 + 6 / (n**3 - n), 1 - 6 / (n**3 - n)))
    half = float(ndtri((1 + LEVEL) / 2)) * np.sqrt((1 + inner**2 / 2) / (n - 3))
    low, high = np.tanh(np.arctanh(inner) - half), np.tanh(np.arctanh(inner) + half)
    return Estimate(value, min(value, float(low)), max(value, float(high)), n, unit, LEVEL)
