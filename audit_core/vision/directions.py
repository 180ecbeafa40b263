"""Directions of concepts: TCAV with its test against random sets, and apart from it what moving along one does.

Activations are rows of numbers, of an image classifier's layer or of a language model's residual stream alike. Directions are
fitted on one half of the rows and tried on the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import ControlFailed
from audit_core.judging.verdict import State, classify
from audit_core.stats.bootstrap import bootstrap_ratio
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.stats.multiplicity import adjust_by_holm
from audit_core.stats.shares import wilson
from audit_core.vision.results import DRAWS, SETS, ConceptRow

Floats = NDArray[Any]
Answer = Callable[[Floats], Floats]
Fit = Callable[[Floats, Floats], Floats]
"""A unit vector from rows without a concept, the second, towards rows with it, the first."""
RIDGE, ALPHA = 1e-2, 0.05
"""Penalty of the fit as a share of the mean square, and level of both tests."""
LEAST = 20
"""Fewest rows in each half."""
WITH, AGAINST, LIKE_RANDOM = "gradient goes with it", "gradient goes against it", "like random sets"
"""What TCAV says, an estimate."""
MOVES, DOES_LITTLE, TURNS, UNDECIDED = (
    "moves the answer",
    "does little",
    "moves the answer the other way",
    "not decided",
)
"""What adding the direction does, measured."""


@dataclass(frozen=True, eq=False)
class Site:
    """One layer's activations of some rows, without a concept and with it, and how the answer depends on them."""

    concept: str
    layer: int
    without: Floats
    """Shape (row, activation)."""
    having: Floats
    gradients: Floats
    """Of the answer, at the activations without the concept of the rows that are tried; shape (tried row, activation)."""
    answer: Answer
    """Answer of the tried rows with these activations, any number of times over; shape (time · tried row, activation) → (...)."""
    direct: Floats
    """Answer of the tried rows without the concept, as the model gives it unchanged; shape (tried row,)."""
    size: Floats
    """What effects are fractions of; shape (tried row,)."""
    unit: str
    tolerance: float
    counted: str = "of the images"
    fit: Fit | None = None
    """How a direction is fitted; None for the normal of a ridge regression."""
    answer_having: Answer | None = None
    """The same of the rows with the concept, where more than these activations has it; None if `answer` serves both."""


@dataclass(frozen=True, eq=False)
class Tried:
    """One concept at one layer, before the correction for all of them."""

    concept: str
    layer: int
    accuracy: Estimate
    scores: Floats
    random: Floats
    p: float
    brought: Estimate
    narrow: Estimate
    taken: Estimate
    p_null: float
    counted: str


def divide_rows(n: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows that directions are fitted on, and rows that they are tried on."""
    return np.arange(n) % 2 == 0, np.arange(n) % 2 == 1


def try_direction(site: Site, draw: np.random.Generator, *, seed: int) -> Tried:
    """Fit a concept's direction, and try it by gradients and by moving along it.

    Raises:
        ControlFailed: activations written back unchanged change the answer.

    Source: Kim et al. 2018, arXiv:1711.11279 (TCAV).
    """
    without, having = site.without, site.having
    fit, held = divide_rows(len(without))
    cavs, nulls = fit_directions(having[fit], without[fit], draw, site.fit or fit_direction)
    scores, random = ((site.gradients @ directions.T > 0).mean(0) for directions in (cavs, nulls))
    direction = cavs.mean(0) / max(float(np.linalg.norm(cavs.mean(0))), 1e-12)
    middle = ((having[fit] + without[fit]) @ direction).mean() / 2
    hits = int((having[held] @ direction > middle).sum() + (without[held] @ direction <= middle).sum())
    step = float(((having[fit] - without[fit]) @ direction).mean())
    answer_having = site.answer_having or site.answer
    bare, full = site.answer(without[held]), answer_having(having[held])
    identity = float(np.abs(site.direct - bare).max())
    if not identity <= site.tolerance:
        raise ControlFailed(f"A layer's own activations written back change a logit by {identity:.3g}.")
    brought = site.answer(without[held] + step * direction) - bare
    taken = full - answer_having(having[held] - step * direction)
    spread = (without[fit] - without[fit].mean(0)) / np.sqrt(fit.sum())
    others = draw.normal(size=(DRAWS, fit.sum())) @ spread
    others /= np.maximum(np.linalg.norm(others, axis=1, keepdims=True), 1e-12)
    # All at once: a call for each would cost more than its rows.
    moved = site.answer((without[held][None] + step * others[:, None, :]).reshape(-1, others.shape[1]))
    rivals = (moved.reshape(DRAWS, -1) - bare).mean(1)
    each = [str(at) for at in range(len(bare))]
    return Tried(
        site.concept, site.layer, wilson(hits, 2 * int(held.sum()), site.counted), scores, random, welch(scores, random),
        bootstrap_ratio(brought, site.size, each, unit=site.unit, seed=seed),
        bootstrap_ratio(brought, site.size, each, unit=site.unit, seed=seed, level=2 * LEVEL - 1),
        bootstrap_ratio(taken, site.size, each, unit=site.unit, seed=seed),
        (1 + int((np.abs(rivals) >= abs(brought.mean())).sum())) / (1 + DRAWS), site.counted,
    )  # fmt: skip


def fit_directions(having: Floats, without: Floats, draw: np.random.Generator, fit: Fit) -> tuple[Floats, Floats]:
    """Concept against random sets, and random sets against each other; unit vectors, shapes (set, activation).

    Args:
        having, without: activations of the same images with the concept and as they are; shape (image, activation).
    """
    n = len(without)
    concept, null = [], []
    for _ in range(SETS):
        order = draw.permutation(n)
        half, rest = order[: n // 2], order[n // 2 :]
        concept.append(fit(having[half], without[rest]))
        null.append(fit(without[half], without[rest]))
    return np.array(concept), np.array(null)


def fit_direction(first: Floats, second: Floats) -> Floats:
    """Normal of a ridge regression that tells the first rows from the second; towards the first, of length 1."""
    rows = np.concatenate([first, second])
    target = np.concatenate([np.ones(len(first)) / len(first), -np.ones(len(second)) / len(second)])
    centred = rows - (first.mean(0) + second.mean(0)) / 2
    gram = centred @ centred.T
    penalty = RIDGE * np.trace(gram) / len(gram)
    found: Floats = centred.T @ np.linalg.solve(gram + penalty * np.eye(len(gram)), target)
    length = float(np.linalg.norm(found))
    return found / length if length else found


def subtract_means(first: Floats, second: Floats) -> Floats:
    """Difference of the means, of length 1: what the rows differ by, and not what separates them with least noise.

    Source: Pahde et al. 2022, arXiv:2202.03482.
    """
    found: Floats = first.mean(0) - second.mean(0)
    length = float(np.linalg.norm(found))
    return found / length if length else found


def welch(scores: Floats, random: Floats) -> float:
    """Two-sided p of a difference in means; 1 where neither varies and they are equal, the smallest where they differ.

    Source: Welch 1947.
    """
    from scipy.stats import ttest_ind_from_stats

    if np.ptp(scores) == 0 and np.ptp(random) == 0:
        return 1.0 if scores[0] == random[0] else 0.0
    sides = [(float(one.mean()), float(one.std(ddof=1)), len(one)) for one in (scores, random)]
    return float(ttest_ind_from_stats(*sides[0], *sides[1], equal_var=False).pvalue)


def decide(tried: list[Tried], smallest: float) -> tuple[ConceptRow, ...]:
    """Rows of all concepts and layers, with Holm's correction for all of them. Source: Holm 1979."""
    adjusted = adjust_by_holm([one.p for one in tried])
    return tuple(
        ConceptRow(
            concept=one.concept, layer=one.layer, accuracy=one.accuracy, score=_spread(one.scores, one.counted),
            random_score=_spread(one.random, one.counted), p=float(p), says=_say(one, float(p)), brought=one.brought, taken=one.taken,
            p_null=one.p_null, does=_do(one, smallest),
        )
        for one, p in zip(tried, adjusted, strict=True)
    )  # fmt: skip


def _say(one: Tried, p: float) -> str:
    if p > ALPHA:
        return LIKE_RANDOM
    return WITH if one.scores.mean() > one.random.mean() else AGAINST


def _do(one: Tried, smallest: float) -> str:
    """By what adding and removing the direction does; TCAV is not asked."""
    state = classify(one.brought, smallest, narrow=one.narrow)
    beats = one.p_null <= ALPHA
    if state is State.SUPPORTED and beats and (one.taken.low or 0.0) > 0:
        return MOVES
    if state is State.REVERSED and beats and one.taken.high is not None and one.taken.high < 0:
        return TURNS
    return DOES_LITTLE if state is State.NEGLIGIBLE and abs(one.taken.value) < smallest else UNDECIDED


def _spread(scores: Floats, unit: str) -> Estimate:
    """Mean over random sets, with Student's interval."""
    from scipy.stats import t

    n, value = len(scores), float(scores.mean())
    half = float(t.ppf((1 + LEVEL) / 2, n - 1) * scores.std(ddof=1) / np.sqrt(n))
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), n, unit, LEVEL)
