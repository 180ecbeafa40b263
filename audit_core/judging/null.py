"""The matched random null: what any set of components of the same shape does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit_core.component import Component
from audit_core.intervention import Edit, Intervention, Replacement, intervene

DRAWS = 199
"""Then p can reach 0.005; ten draws could not go below 0.09 (methods 1.4)."""
PROMPTS = 48
"""Prompts that draws are made on, at most: enough to rank by, and draws are nearly all of a verdict's price."""
FEW_PARTS = 60
"""In a model with fewer other parts each set holds one of the few that also matter, and is no picture of chance."""
_TRIES = 40
"""Attempts per draw to find a set not drawn before."""


@dataclass(frozen=True)
class Null:
    """Interventions that stand for chance."""

    sets: tuple[tuple[Component, ...], ...]
    """Components of each draw; the claim's own where its output is pushed in random directions."""
    directions: tuple[tuple[tuple[float, ...], ...], ...]
    """Per draw and component a unit vector; empty where the draws are sets."""
    design: str
    """What the draws have in common with the claim, in words."""


def draw_null(
    parts: Sequence[Component], candidates: Sequence[Component], widths: Sequence[int], *, can_push: bool, seed: int
) -> Null:
    """Matched random sets, or, where the model has too few of them, random directions of equal size.

    Args:
        parts: the claim's components.
        candidates: all components of the universe.
        widths: dimensions of each part's output, for directions.
        can_push: whether a push could stand for the claim: not where the claim is that the parts alone suffice.
    """
    sets, reach = draw_sets(parts, candidates, seed=seed)
    is_small = len(set(candidates) - set(parts)) < FEW_PARTS
    if not ((is_small or len(sets) < DRAWS) and can_push):
        near = "the same layers" if not reach else f"layers at most {reach} away"
        return Null(
            sets, (), f"{len(sets)} random sets of the same size and kinds, from {near}, without the claim's own"
        )
    rng = np.random.default_rng(seed)
    directions = tuple(
        tuple(tuple((v / np.linalg.norm(v)).tolist()) for v in (rng.normal(size=width) for width in widths))
        for _ in range(DRAWS)
    )
    design = (
        f"{DRAWS} random directions in the same outputs, at every position as large as the replacement's change where it "
        "changes anything; the model has too few other parts"
    )
    return Null((tuple(parts),) * DRAWS, directions, design)


def draw_sets(
    parts: Sequence[Component], candidates: Sequence[Component], *, seed: int, draws: int = DRAWS
) -> tuple[tuple[tuple[Component, ...], ...], int]:
    """Distinct random sets with as many components of each kind, each from the layer of the one it stands for.

    Returns:
        Sets, and how many layers away from their own they had to be taken; fewer than `draws` in a small model.
    """
    rng, own = np.random.default_rng(seed), set(parts)
    others = [c for c in candidates if c not in own]
    furthest = max((c.layer for c in candidates), default=0)
    found: tuple[tuple[Component, ...], ...] = ()
    reach = 0
    for reach in range(furthest + 1):
        pools = [[c for c in others if c.kind is p.kind and abs(c.layer - p.layer) <= reach] for p in parts]
        if all(pools):
            found = _sample(pools, draws, rng)
        if len(found) >= draws:
            break
    return found, reach


def _sample(
    pools: Sequence[Sequence[Component]], draws: int, rng: np.random.Generator
) -> tuple[tuple[Component, ...], ...]:
    if len(pools) == 1:
        order = rng.permutation(len(pools[0]))[:draws]
        return tuple((pools[0][i],) for i in order)
    found: dict[frozenset[Component], tuple[Component, ...]] = {}
    for _ in range(_TRIES * draws):
        chosen = tuple(pool[int(rng.integers(len(pool)))] for pool in pools)
        if len(key := frozenset(chosen)) == len(chosen) and key not in found:
            found[key] = tuple(sorted(chosen, key=str))
        if len(found) == draws:
            break
    return tuple(found.values())


def push(parts: Sequence[Component], directions: Sequence[tuple[float, ...]], sizes: Sequence[float]) -> Intervention:
    """The outputs of the parts moved along given directions.

    Args:
        sizes: how far, one per part, in the units of its output.
    """
    return Intervention(
        tuple(
            Edit(part, Replacement.ADD, size, along) for part, along, size in zip(parts, directions, sizes, strict=True)
        )
    )


def plan_removals(null: Null, replacement: Replacement, sizes: Sequence[float]) -> tuple[Intervention, ...]:
    """Each draw taken away, or pushed, on the clean run."""
    if null.directions:
        return tuple(push(parts, along, sizes) for parts, along in zip(null.sets, null.directions, strict=True))
    return tuple(intervene(parts, replacement) for parts in null.sets)


def plan_remainders(null: Null, universe: Sequence[Component], replacement: Replacement) -> tuple[Intervention, ...]:
    """Everything but each draw taken away. Directions are no set that could be left alone."""
    if null.directions:
        return ()
    return tuple(intervene([c for c in universe if c not in set(parts)], replacement) for parts in null.sets)
