"""Dose and response of an expert: the metric as the weight of its output varies, everything else as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from audit_core.component import Component, Kind
from audit_core.errors import ComponentRefused, ControlFailed
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.mixture.results import NOT_ROUTED, WeightCurve, WeightPoint
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.subject import Subject

FACTORS = (0.0, 0.5, 1.0, 1.5, 2.0)
"""Of the weight that the router gave the expert; 1 is a control, which must change nothing."""
RISES, FALLS, BENT, UNRESOLVED = (
    "rises with the weight", "falls with the weight", "rises and falls with the weight", "unresolved",
)  # fmt: skip


def check_weighed(subject: Subject, parts: Sequence[Component]) -> None:
    """Refuse what is not an expert of this model.

    Raises:
        ComponentRefused: with the first of them.
    """
    known = {(part.layer, part.index) for part in subject.components(Kind.EXPERT)}
    for part in parts:
        if part.kind is not Kind.EXPERT or (part.layer, part.index) not in known:
            raise ComponentRefused(
                f"{part} is no expert of this model.", wanted="experts, such as L0.E5.", remedy="name experts."
            )


def plan_weights(parts: Sequence[Component]) -> dict[tuple[Component, float], Intervention]:
    """One run per expert and factor."""
    return {(part, factor): intervene([part], Replacement.SCALE, factor=factor) for part in parts for factor in FACTORS}


def read_curve(
    part: Component,
    lost: Mapping[tuple[Component, float], NDArray[np.float64]],
    templates: Sequence[str],
    *,
    unit: str,
    tolerance: float,
    seed: int,
) -> WeightCurve:
    """Loss of the metric at each factor, and whether every step of more weight moves it in one direction.

    Args:
        lost: loss of the metric per prompt; without runs of this expert it received no token.

    Raises:
        ControlFailed: the router's own weight, written again, changed the metric.
    """
    if (part, 1.0) not in lost:
        return WeightCurve(component=str(part), points=(), steps=(), reading=NOT_ROUTED)
    losses = np.stack([lost[part, factor] for factor in FACTORS])
    moved = float(np.abs(losses[FACTORS.index(1.0)]).max())
    if not moved <= tolerance:
        raise ControlFailed(f"The weight of {part} times 1 changed the metric by {moved:.3g}.")
    estimates = [bootstrap_mean(row, templates, unit=unit, seed=seed) for row in losses]
    steps = [bootstrap_mean(row, templates, unit=unit, seed=seed) for row in losses[:-1] - losses[1:]]
    signs = [
        (step.low is not None and step.low > tolerance) - (step.high is not None and step.high < -tolerance)
        for step in steps
    ]
    reading = (
        BENT
        if {1, -1} <= set(signs)
        else {1: RISES, -1: FALLS}[signs[0]]
        if len(set(signs)) == 1 and signs[0]
        else UNRESOLVED
    )
    points = tuple(WeightPoint(factor=factor, effect=one) for factor, one in zip(FACTORS, estimates, strict=True))
    return WeightCurve(component=str(part), points=points, steps=tuple(steps), reading=reading)
