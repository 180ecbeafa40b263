"""How much nested circuits keep, from small to large: CPR, CMD, and the same for random orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.component import Component
from audit_core.intervention import Intervention, Replacement, intervene

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Of the universe, in nodes: its ends included, so that no part of the area is left out."""


@dataclass(frozen=True)
class Areas:
    """What a curve of f over the share of components kept comes to."""

    cpr: float
    """∫ f: rewards parts that push towards the answer; above 1 is no better understanding."""
    cmd: float
    """∫ |1 − f|: distance from the whole model; 0 is best."""


def list_sizes(n: int, also: int = 1) -> tuple[int, ...]:
    """Components kept at each point of the curve; nothing, one and everything included, and the size asked for."""
    return tuple(sorted({round(share * n) for share in SHARES} | {min(1, n), min(also, n)}))


def plan_curve(
    order: Sequence[Component], universe: Sequence[Component], replacement: Replacement, sizes: Sequence[int]
) -> tuple[Intervention, ...]:
    """Everything but the first k of an order taken away, for each k but the last, at which nothing is."""
    plans = []
    for size in sizes[:-1]:
        kept = set(order[:size])
        plans.append(intervene([part for part in universe if part not in kept], replacement))
    return tuple(plans)


def measure_areas(sizes: Sequence[int], values: NDArray[np.float64]) -> Areas:
    """Trapezoid over the share of components kept.

    Args:
        values: f at each size: share of the clean – empty gap kept; shape (size,).

    Source: Mueller et al. 2025, arXiv:2504.13151 (MIB), taken to nodes; there the range below the first share is left out.
    """
    shares = np.asarray(sizes, float) / sizes[-1]
    return Areas(float(np.trapezoid(values, shares)), float(np.trapezoid(np.abs(1 - values), shares)))
