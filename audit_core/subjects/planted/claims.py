"""How what is true of a planted model is written down: one value for each way of taking components away."""

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
    """What each family alone would say, where they disagree."""
    return MappingProxyType({Replacement.ZERO: zero, Replacement.MEAN: mean, Replacement.RESAMPLE: resample})


NOTHING = lost(zero=0, mean=0, resample=0)


def list_bystanders(heads: tuple[tuple[int, int], ...], task: str) -> tuple[PlantedClaim, ...]:
    """A claim for each background head: it does nothing that counts.

    Where answers and foils are drawn from the same words, what its random writes do to them comes to zero on average.
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
