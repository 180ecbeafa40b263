"""Random baseline: effects of random sets of components matched to a claim."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit_core.component import Component, Kind
from audit_core.intervention import Edit, Intervention, Replacement, intervene

DRAWS = 199
"""Number of draws: p can reach 0.005; with ten draws it could not go below 0.09 (methods 1.4)."""
PROMPTS = 48
"""Maximum prompts per draw: enough for ranking; draws take most of the time of a verdict."""
FEW_PARTS = 60
"""With fewer other components, most random sets contain one that matters and are not a random baseline."""
LOAD_RANGE = 2.0
"""An expert that receives few tokens can do little: random experts receive between 1 / 2 and 2 times as many (methods 2.20).
Random features are active at least 1 / 2 as often and as strongly. There is no upper limit, because a dictionary has few features
that fire as rarely as one that says one thing, and one that fires more can do more: the baseline is only harder to beat."""
Loads = Mapping[Component, tuple[float, ...]]
"""What a component may do on these prompts at most, in numbers that random ones are matched on: of an expert the tokens sent to
it, of a feature the share of tokens on which it is active and its mean value there."""
_TRIES = 40
"""Attempts per draw to find a new set."""


@dataclass(frozen=True)
class Null:
    """Draws of the random baseline."""

    sets: tuple[tuple[Component, ...], ...]
    """Components of each draw; for random directions, the claim's own."""
    directions: tuple[tuple[tuple[float, ...], ...], ...]
    """One unit vector per draw and component; empty if the draws are sets."""
    design: str
    """How the draws are matched to the claim, in words."""


def draw_null(
    parts: Sequence[Component],
    candidates: Sequence[Component],
    widths: Sequence[int],
    *,
    can_use_directions: bool,
    seed: int,
    loads: Loads | None = None,
) -> Null:
    """Matched random sets or, in a small model, random directions of equal size.

    Args:
        parts: the claim's components.
        candidates: all components of the universe.
        widths: dimensions of each component's output, for directions.
        can_use_directions: whether random directions are a valid control; not for sufficiency.
        loads: of experts and features; see `draw_sets`.
    """
    sets, reach = draw_sets(parts, candidates, seed=seed, loads=loads)
    is_small = len(set(candidates) - set(parts)) < FEW_PARTS
    if not ((is_small or len(sets) < DRAWS) and can_use_directions):
        near = "the same layers" if not reach else f"layers at most {reach} away"
        if all(part.kind is Kind.FEATURE for part in parts):
            near = "the same dictionary"
        return Null(
            sets,
            (),
            f"{len(sets)} random sets of the same size and kinds{_describe_loads(parts, loads)}, from {near}, excluding the claim's components",
        )
    rng = np.random.default_rng(seed)
    directions = tuple(
        tuple(tuple((v / np.linalg.norm(v)).tolist()) for v in (rng.normal(size=width) for width in widths))
        for _ in range(DRAWS)
    )
    design = (
        f"{DRAWS} random directions in the same outputs, at every position as large as the replacement's change; "
        "the model has too few other components"
    )
    return Null((tuple(parts),) * DRAWS, directions, design)


def draw_sets(
    parts: Sequence[Component],
    candidates: Sequence[Component],
    *,
    seed: int,
    draws: int = DRAWS,
    loads: Loads | None = None,
) -> tuple[tuple[tuple[Component, ...], ...], int]:
    """Distinct random sets with the same number of components of each kind, from the same layers.

    Args:
        loads: see `Loads`; a component is drawn for one whose numbers are about as large, a feature for one whose numbers are not
            much smaller.

    Returns:
        Sets (fewer than `draws` in a small model), and the maximum layer distance that was needed.
    """
    rng, own = np.random.default_rng(seed), set(parts)
    others = [c for c in candidates if c not in own]
    furthest = max((c.layer for c in candidates), default=0)
    found: tuple[tuple[Component, ...], ...] = ()
    reach = 0
    for reach in range(furthest + 1):
        pools = [
            [c for c in others if c.kind is p.kind and abs(c.layer - p.layer) <= reach and _is_as_loaded(c, p, loads)]
            for p in parts
        ]
        if all(pools):
            found = _sample(pools, draws, rng)
        if len(found) >= draws:
            break
    return found, reach


def _is_as_loaded(other: Component, part: Component, loads: Loads | None) -> bool:
    if loads is None or part not in loads:
        return True
    has_limit = part.kind is not Kind.FEATURE
    both = zip(loads[part], loads[other], strict=True)
    return all(own <= LOAD_RANGE * theirs and (theirs <= LOAD_RANGE * own or not has_limit) for own, theirs in both)


def _describe_loads(parts: Sequence[Component], loads: Loads | None) -> str:
    if loads is None:
        return ""
    of_kind = {
        Kind.EXPERT: f", experts within a factor of {LOAD_RANGE:g} in tokens received",
        Kind.FEATURE: ", features active at least half as often and half as strongly",
    }
    return "".join(text for kind, text in of_kind.items() if any(part.kind is kind for part in parts))


def _sample(
    pools: Sequence[Sequence[Component]], draws: int, rng: np.random.Generator
) -> tuple[tuple[Component, ...], ...]:
    if len(pools) == 1:
        order = rng.permutation(len(pools[0]))[:draws]
        return tuple((pools[0][i],) for i in order)
    at = {part: i for i, part in enumerate(dict.fromkeys(part for pool in pools for part in pool))}
    sizes = np.array([len(pool) for pool in pools])
    picked = rng.integers(np.broadcast_to(sizes, (_TRIES * draws, len(pools))))
    chosen = np.sort(
        np.stack([np.array([at[part] for part in pool])[rows] for pool, rows in zip(pools, picked.T)], axis=1), axis=1
    )
    chosen = chosen[(np.diff(chosen, axis=1) > 0).all(1)]
    firsts = np.sort(np.unique(chosen, axis=0, return_index=True)[1])[:draws]
    parts = list(at)
    return tuple(tuple(sorted((parts[i] for i in row), key=str)) for row in chosen[firsts].tolist())


def push(parts: Sequence[Component], directions: Sequence[tuple[float, ...]], sizes: Sequence[float]) -> Intervention:
    """Add given directions to the outputs of components.

    Args:
        sizes: step per component, in units of its output.
    """
    return Intervention(
        tuple(
            Edit(part, Replacement.ADD, size, along) for part, along, size in zip(parts, directions, sizes, strict=True)
        )
    )


def plan_removals(null: Null, replacement: Replacement, sizes: Sequence[float]) -> tuple[Intervention, ...]:
    """Ablate each draw on the clean run, or add its directions."""
    if null.directions:
        return tuple(push(parts, along, sizes) for parts, along in zip(null.sets, null.directions, strict=True))
    return tuple(intervene(parts, replacement) for parts in null.sets)


def plan_remainders(null: Null, keep: Callable[[Sequence[Component]], Intervention]) -> tuple[Intervention, ...]:
    """Ablate everything except each draw; undefined for directions.

    Args:
        keep: the run in which everything but a set is replaced.
    """
    return () if null.directions else tuple(map(keep, null.sets))
