"""What a figure draws of a prompt with more tokens than a screen has rows: the largest numbers, or blocks of tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MOST_ROWS = 60
"""Tokens that a figure names, one a row: two screens."""
MOST_BLOCKS = 160
"""Rows and columns of an attention map: more would be smaller than three pixels."""
LEAST_LISTED = 0.01
"""Smallest share of attention in the table of a long prompt, which has hundreds of thousands of pairs."""


def pick_rows(*numbers: Sequence[float], most: int = MOST_ROWS) -> tuple[int, ...]:
    """Positions to draw, in the order of the prompt: all, or of a long prompt the largest by size of each of these numbers.

    Each list has an equal share of the rows, so that none decides what is seen of another.
    """
    n = len(numbers[0])
    if n <= most:
        return tuple(range(n))
    picked: set[int] = set()
    for values in numbers:
        order = np.argsort(-np.abs(np.asarray(values, float)), kind="stable")
        picked.update(order[: most // len(numbers)].tolist())
    return tuple(sorted(picked))


def describe_rows(n: int, drawn: Sequence[int], what: str) -> str:
    """Which rows are drawn; empty if all are."""
    if len(drawn) == n:
        return ""
    return f"Drawn: {len(drawn)} of {n:,} tokens, those with the largest {what}. The table has all."


def pool_pattern(weights: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """A map of at most `MOST_BLOCKS` rows: the largest weight of each block of tokens, so that no peak is lost; and a block's tokens."""
    n = len(weights)
    size = -(-n // MOST_BLOCKS)
    if size == 1:
        return weights, 1
    blocks = -(-n // size)
    padded = np.zeros((blocks * size, blocks * size), weights.dtype)
    padded[:n, :n] = weights
    return padded.reshape(blocks, size, blocks, size).max(axis=(1, 3)), size
