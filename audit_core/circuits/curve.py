"""Faithfulness curves of nested circuits: CPR and CMD, for an order and for random orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.component import Component
from audit_core.intervention import Intervention, Replacement, intervene

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Circuit sizes as shares of the universe, in nodes; 0 and 1 included, so that the area is complete."""


@dataclass(frozen=True)
class Areas:
    """Areas of a curve of f over the share of components kept."""

    cpr: float
    """∫ f: circuit performance ratio; values above 1 do not mean a better circuit."""
    cmd: float
    """∫ |1 − f|: circuit–model distance; 0 is best."""


def list_sizes(n: int, also: int = 1) -> tuple[int, ...]:
    """Number of components kept at each point of the curve; includes 0, 1, all, and `also`."""
    return tuple(sorted({round(share * n) for share in SHARES} | {min(1, n), min(also, n)}))


def plan_curve(
    order: Sequence[Component], universe: Sequence[Component], replacement: Replacement, sizes: Sequence[int]
) -> tuple[Intervention, ...]:
    """Ablate all but the first k components of an order, for each size k except the last, at which nothing is ablated."""
    plans = []
    for size in sizes[:-1]:
        kept = set(order[:size])
        plans.append(intervene([part for part in universe if part not in kept], replacement))
    return tuple(plans)


def measure_areas(sizes: Sequence[int], values: NDArray[np.float64]) -> Areas:
    """Trapezoid over the share of components kept.

    Args:
        values: f at each size: share of the clean – empty gap kept; shape (size,).

    Source: Mueller et al. 2025, arXiv:2504.13151 (MIB), applied to nodes; MIB excludes the range below the first share.
    """
    shares = np.asarray(sizes, float) / sizes[-1]
    return Areas(float(np.trapezoid(values, shares)), float(np.trapezoid(np.abs(1 - values), shares)))
