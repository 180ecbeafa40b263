"""A direction's place among random ones of equal length: the first few for all, as many as a corrected p-value needs for some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.estimates import MIN_PROMPTS
from audit_core.stats.multiplicity import rank_in_null
from audit_core.steering.conditions import Array, Writer, steer_along
from audit_core.steering.directions import draw_random
from audit_core.steering.results import Method
from audit_core.steering.trial import Measured, Tried, list_baselines
from audit_core.steering.verdicts import ALPHA, find_p

RANKED_ON = MIN_PROMPTS
"""Measured prompts on which directions are ranked: the first of them, the same for the direction and every random one."""


@dataclass(frozen=True)
class Rank:
    """Place of one direction among random ones."""

    p: float
    """Share that score as much, counting the direction itself."""
    n: int
    """Random directions."""

    @property
    def is_first(self) -> bool:
        """Whether no random direction scores as much."""
        return self.p <= 1.5 / (self.n + 1)


@dataclass(frozen=True)
class Ranking:
    """Places of all directions that get a verdict."""

    ranks: Mapping[tuple[int, Method], Rank]
    """By number of the concept and method."""
    n_prompts: int
    apart: float
    """See `Written.apart`."""


def count_needed(n_verdicts: int) -> int:
    """Random directions with which one that beats all of them has p ≤ 0.05 after correction for so many verdicts.

    Example:
        >>> count_needed(1), count_needed(9)
        (19, 179)
    """
    return round(n_verdicts / ALPHA) - 1


def rank_directions(writer: Writer, prompts: TokenisedPrompts, tried: Tried, measured: Measured, draws: int) -> Ranking:
    """Rank every direction that gets a verdict among random ones of its length, on the same prompts and with the same noise.

    All are ranked among the first `draws`. One that none of those reaches, and that is above every other baseline, is ranked
    among as many as a corrected p-value needs. To stop earlier can only leave a p-value larger than it would become.

    Args:
        prompts: all measured ones; the first `RANKED_ON` are used.

    Raises:
        ControlFailed: see `Writer.count_holds`.

    Source: Besag and Clifford 1991, Biometrika 78 (sequential Monte Carlo p-values).
    """
    few, apart = prompts.take(range(min(RANKED_ON, len(prompts)))), 0.0
    own = tried.list_judged()
    most = max(draws, count_needed(len(own)))
    directions = draw_random(writer.subject.geometry.d_model, most, seed=writer.seed)
    ranks: dict[tuple[int, Method], Rank] = {}

    def write(strength: float, first: int, last: int) -> Array:
        nonlocal apart
        conditions = [steer_along(one, (strength,))[0] for one in directions[first:last]]
        found, its_apart = writer.count_holds(conditions, few)
        apart = max(apart, its_apart)
        return found

    def rank(key: tuple[int, Method], holds: Array) -> Rank:
        score = float(measured.outcomes[own[key]].holds[key[0], : len(few)].mean())
        return Rank(rank_in_null(score, holds[:, key[0]].mean(1)), len(holds))

    strengths = {key: tried.conditions[at].strength or 0.0 for key, at in own.items()}
    for strength in sorted(set(strengths.values())):
        mine = [key for key in own if strengths[key] == strength]
        first = write(strength, 0, draws)
        ranks |= {key: rank(key, first) for key in mine}
        open_ones = [key for key in mine if ranks[key].is_first and _is_open(tried, measured, *key)]
        if open_ones and most > draws and len(prompts) >= MIN_PROMPTS:
            every = np.concatenate([first, write(strength, draws, most)])
            ranks |= {key: rank(key, every) for key in open_ones}
    return Ranking(ranks, len(few), apart)


def _is_open(tried: Tried, measured: Measured, concept: int, method: Method) -> bool:
    """Whether a direction is above every baseline before any correction, so that its place among random ones decides."""
    own = measured.outcomes[tried.choose_all(concept)[method]]
    beside = list_baselines(tried, measured, concept, method).values()
    return all(find_p(own, others, concept) <= ALPHA for others in beside)
