"""Orders of units and what they cost: deletion and insertion curves, comprehensiveness and sufficiency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.explanations.method import Array, Scores, Task
from audit_core.explanations.replacing import EDITS, Without
from audit_core.subject import Progress

SHARES = (0.2, 0.5, 0.8)
"""Shares of a prompt's units at which the curves are measured."""
RANDOM_ORDERS = 20
"""Random orders of each prompt: pairs of an order and its reverse, which share most of their inputs."""
Order = NDArray[np.int_]
"""Units of one prompt, the most important first; shape (unit,)."""


@dataclass(frozen=True, eq=False)
class Curves:
    """The metric along one order of every prompt, in logits; shapes (share, prompt)."""

    deletion: Array
    """Without the first units of the order."""
    insertion: Array
    """With the first units of the order alone."""

    def take(self, rows: Sequence[int]) -> Curves:
        """The curves of some prompts."""
        return Curves(self.deletion[:, rows], self.insertion[:, rows])


def count_units(n: int) -> tuple[int, ...]:
    """Units of a prompt of n at each of `SHARES`; the first and the last add up to n."""
    few = max(1, round(SHARES[0] * n))
    return few, n // 2, n - few


def rank_units(values: Array, *, seed: int) -> Order:
    """Order from the highest score down; equal scores are in random order, so that no method gains by position."""
    ties = np.random.default_rng(seed).permutation(len(values))
    return np.lexsort((ties, -values))


def order_by(scores: Scores, *, seed: int) -> list[Order | None]:
    """Orders by a method's signed scores, the strongest support first; None where it refuses a prompt."""
    return [None if values is None else rank_units(values, seed=seed + at) for at, values in enumerate(scores.values)]


def draw_orders(sizes: Sequence[int], *, seed: int) -> list[list[Order]]:
    """Random orders; list (draw) of one order per prompt."""
    rng = np.random.default_rng(seed)
    found: list[list[Order]] = []
    for _ in range(RANDOM_ORDERS // 2):
        drawn = [rng.permutation(n) for n in sizes]
        found += [drawn, [order[::-1] for order in drawn]]
    return found


def measure_curves(
    task: Task, orders: Mapping[str, Sequence[Order | None]], without: Without, *, on_progress: Progress
) -> dict[str, Curves]:
    """Curves of many orders at once, so that inputs that orders share run once.

    Args:
        orders: per name, one order per prompt; NaN is returned where it is None.
    """
    edit, wanted, places = EDITS[without], [], []
    for name, per_prompt in orders.items():
        for at, order in enumerate(per_prompt):
            if order is None:
                continue
            pair, units, donor = task.prompts.pairs[at], task.units[at], task.donors[at]
            for share, k in enumerate(count_units(len(units))):
                first = np.isin(np.arange(len(units)), order[:k])
                for kept, is_deletion in ((~first, True), (first, False)):
                    wanted.append((pair, edit(pair, units, donor, kept)))
                    places.append((name, is_deletion, share, at))
    shape = (len(SHARES), len(task.prompts))
    found = {name: Curves(np.full(shape, np.nan), np.full(shape, np.nan)) for name in orders}
    values = task.values.read(wanted, on_progress=on_progress)
    for (name, is_deletion, share, at), value in zip(places, values, strict=True):
        (found[name].deletion if is_deletion else found[name].insertion)[share, at] = value
    return found


def comprehensiveness(clean: Array, curves: Curves) -> Array:
    """Mean over shares of m(x) − m(x without the first units): the area over the deletion curve (AOPC); shape (prompt,).

    Source: DeYoung et al. 2020, arXiv:1911.03429, section 5; Samek et al. 2017, arXiv:1509.06321 (AOPC).
    """
    found: Array = (clean - curves.deletion).mean(0)
    return found


def sufficiency(clean: Array, curves: Curves) -> Array:
    """Mean over shares of m(x) − m(the first units alone); lower is better; shape (prompt,). Source: as above."""
    found: Array = (clean - curves.insertion).mean(0)
    return found
