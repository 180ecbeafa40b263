"""The lattice of kept documents: every subset, exact Shapley values and pair interactions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def find_shapley(values: Array) -> Array:
    """Shapley value of each document.

    Args:
        values: by subset, whose bit d says that document d is kept; shape (2ⁿ,).

    Returns:
        Shape (n,); their sum is the value of all minus the value of none.

    Source: Shapley 1953.

    Example:
        >>> find_shapley(np.array([0.0, 1.0, 2.0, 3.0])).tolist()
        [1.0, 2.0]
    """
    n = count_documents(values)
    shares = np.zeros(n)
    for subset in range(1 << n):
        size = subset.bit_count()
        for at in range(n):
            if not subset >> at & 1:
                weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
                shares[at] += weight * (values[subset | 1 << at] - values[subset])
    return shares


def find_interaction(values: Array, first: int, second: int) -> Array:
    """What two documents restore together beyond what each restores alone.

    Args:
        values: shape (2ⁿ, …).
    """
    found: Array = values[1 << first | 1 << second] - values[1 << first] - values[1 << second] + values[0]
    return found


def count_documents(values: Array) -> int:
    """Number of documents behind a lattice."""
    return len(values).bit_length() - 1
