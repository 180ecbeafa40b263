"""Sets of units that methods measure: every set of few units, and a weighted sample of many."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

MOST_EXACT = 10
"""Units up to which every set is measured: 1,024 inputs."""
SAMPLES = 96
"""Sets that are measured of more units, in complementary pairs."""


@dataclass(frozen=True, eq=False)
class Masks:
    """Sets of units of one prompt; both lists hold the empty and the full set."""

    kept: NDArray[np.bool_]
    """Shape (mask, unit)."""
    weights: NDArray[np.float64]
    """Shapley kernel of each set, shape (mask,); infinite for the empty and the full set."""
    is_complete: bool
    """Whether every set is in the list, in the order of its number in binary: unit 0 is the last digit."""


def choose_masks(n: int, *, seed: int) -> Masks:
    """Every set of up to `MOST_EXACT` units; else all sets of one unit or all but one, and a sample of the others.

    The kernel is (n − 1) / (C(n, s) s (n − s)) for a set of size s. Sampled sets share the kernel of the sizes that they
    were drawn from.

    Source: Lundberg and Lee 2017, arXiv:1705.07874, theorem 2; Covert and Lee 2021, arXiv:2012.01536 (paired samples).
    """
    if n <= MOST_EXACT:
        kept = (np.arange(2**n)[:, None] >> np.arange(n)) % 2 == 1
        return Masks(kept, _weigh(kept.sum(1), n), True)
    rng, single = np.random.default_rng(seed), np.eye(n, dtype=bool)
    sizes = np.arange(2, n // 2 + 1)
    mass = np.array([(n - 1) / (s * (n - s)) for s in sizes])
    # Of each size, its sets and their complements; the middle size is its own complement.
    mass *= np.where(2 * sizes == n, 1, 2)
    pairs = (SAMPLES - 2 * n) // 2
    if pairs < n:
        pairs = n
    drawn = []
    for size in rng.choice(sizes, pairs, p=mass / mass.sum()):
        mask = np.zeros(n, bool)
        mask[rng.choice(n, size, replace=False)] = True
        drawn += [mask, ~mask]
    ends = np.array([np.zeros(n, bool), np.ones(n, bool)])
    kept = np.concatenate([ends, single, ~single, np.array(drawn)])
    weights = _weigh(kept.sum(1), n)
    weights[2 + 2 * n :] = mass.sum() / len(drawn)
    return Masks(kept, weights, False)


def _weigh(sizes: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    return np.array(
        [np.inf if size in (0, n) else (n - 1) / (comb(n, int(size)) * size * (n - size)) for size in sizes]
    )
