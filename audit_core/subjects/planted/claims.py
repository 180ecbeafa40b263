"""Helpers for the ground truth of planted models: one value per ablation family."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from audit_core.component import parse_components
from audit_core.intervention import Replacement
from audit_core.judging.verdict import State
from audit_core.subjects.planted.key import PlantedClaim, PlantedRole


def lost(*, zero: float, mean: float, resample: float) -> Mapping[Replacement, float]:
    """Logits lost under each family."""
    return MappingProxyType({Replacement.ZERO: zero, Replacement.MEAN: mean, Replacement.RESAMPLE: resample})


def found(*, zero: State, mean: State, resample: State) -> Mapping[Replacement, State]:
    """State of each family alone, if the families disagree."""
    return MappingProxyType({Replacement.ZERO: zero, Replacement.MEAN: mean, Replacement.RESAMPLE: resample})


NOTHING = lost(zero=0, mean=0, resample=0)


def list_bystanders(heads: tuple[tuple[int, int], ...], task: str) -> tuple[PlantedClaim, ...]:
    """One claim per background head, with a negligible effect.

    Answers and foils are drawn from the same words, so the effects of random writes average to zero.
    """
    return tuple(
        PlantedClaim(
            parse_components(f"L{layer}.H{index}"),
            task,
            PlantedRole.BYSTANDER,
            State.NEGLIGIBLE,
            MappingProxyType({Replacement.ZERO: 0.0}),
        )
        for layer, index in heads
    )
