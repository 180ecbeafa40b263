"""Concepts in a layer's activations: TCAV with its test against random sets, and apart from it what the direction does.

A concept is one class's content of the region, written into images of the other class. Directions are fitted on one half of
these images and tried on the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import ControlFailed
from audit_core.judging.verdict import State, classify
from audit_core.stats.bootstrap import bootstrap_ratio
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.stats.shares import wilson
from audit_core.subject import Images
from audit_core.vision.images import ImagePairs, Region
from audit_core.vision.region_test import TOLERANCE
from audit_core.vision.results import DRAWS, SETS, ConceptRow

Floats = NDArray[Any]
RIDGE, ALPHA = 1e-2, 0.05
"""Penalty of the fit as a share of the mean square, and level of both tests."""
LEAST = 20
"""Fewest images of a class in each half."""
FRACTION = "fraction of the logit difference"
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
class _Tried:
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


def measure_concepts(
    subject: Images, pairs: ImagePairs, region: Region, contrast: tuple[int, int], smallest: float, *, seed: int
) -> tuple[ConceptRow, ...]:
    """Every concept at every layer; empty where a half has fewer than 20 images of a class.

    Args:
        contrast: the two classes.

    Raises:
        ControlFailed: activations written back unchanged change a logit.

    Source: Kim et al. 2018, arXiv:1711.11279 (TCAV); Holm 1979.
    """
    labels, opposite = np.array(pairs.answers), region.find_opposite(subject.side)
    tried = []
    for own, other in (contrast, contrast[::-1]):
        plain, donors = pairs.clean[labels == other], pairs.clean[labels == own]
        if min(len(plain), len(donors)) < 2 * LEAST:
            return ()
        content = np.resize(donors[:, *region.cut], (len(plain), region.height, region.width))
        for name, place in (
            (f"region of class {own}", region),
            (f"the same at the opposite place, class {own}", opposite),
        ):
            shown = plain.copy()
            shown[:, *place.cut] = content
            for layer in range(subject.n_layers):
                tried.append(_try(subject, plain, shown, (own, other), name, layer, smallest, seed))
    return _decide(tried, smallest)


def _try(
    subject: Images,
    plain: NDArray[np.int64],
    shown: NDArray[np.int64],
    classes: tuple[int, int],
    name: str,
    layer: int,
    smallest: float,
    seed: int,
) -> _Tried:
    draw = np.random.default_rng([seed, layer])
    without, having = (_read(subject, images, layer) for images in (plain, shown))
    fit, held = np.arange(len(plain)) % 2 == 0, np.arange(len(plain)) % 2 == 1
    cavs, nulls = fit_directions(having[fit], without[fit], draw)
    gradients = _flat(subject.read_layer_gradients(_shape(without[held], plain), layer, *_ends(classes, held.sum())))
    scores, random = ((gradients @ directions.T > 0).mean(0) for directions in (cavs, nulls))
    direction = cavs.mean(0) / np.linalg.norm(cavs.mean(0))
    middle = ((having[fit] + without[fit]) @ direction).mean() / 2
    hits = int((having[held] @ direction > middle).sum() + (without[held] @ direction <= middle).sum())
    step = float(((having[fit] - without[fit]) @ direction).mean())

    def answer(activations: Floats) -> Floats:
        logits = subject.finish_layer(_shape(activations, plain), layer)
        found: Floats = (logits[:, classes[0]] - logits[:, classes[1]]).astype(float)
        return found

    bare, full = answer(without[held]), answer(having[held])
    direct = subject.read_images((plain[held] / subject.levels).astype(np.float32))
    identity = float(np.abs(direct[:, classes[0]] - direct[:, classes[1]] - bare).max())
    if not identity <= TOLERANCE:
        raise ControlFailed(f"A layer's own activations written back change a logit by {identity:.3g}.")
    brought, taken = answer(without[held] + step * direction) - bare, full - answer(having[held] - step * direction)
    spread = (without[fit] - without[fit].mean(0)) / np.sqrt(fit.sum())
    others = draw.normal(size=(DRAWS, fit.sum())) @ spread
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    # All at once: a call for each would cost more than its images.
    moved = answer((without[held][None] + step * others[:, None, :]).reshape(-1, others.shape[1]))
    rivals = (moved.reshape(DRAWS, -1) - bare).mean(1)
    each = [str(at) for at in range(len(bare))]
    size = np.abs(bare)
    return _Tried(
        name, layer, wilson(hits, 2 * int(held.sum()), "of the images"), scores, random, welch(scores, random),
        bootstrap_ratio(brought, size, each, unit=FRACTION, seed=seed),
        bootstrap_ratio(brought, size, each, unit=FRACTION, seed=seed, level=2 * LEVEL - 1),
        bootstrap_ratio(taken, size, each, unit=FRACTION, seed=seed),
        (1 + int((np.abs(rivals) >= abs(brought.mean())).sum())) / (1 + DRAWS),
    )  # fmt: skip


def fit_directions(having: Floats, without: Floats, draw: np.random.Generator) -> tuple[Floats, Floats]:
    """Concept against random sets, and random sets against each other; unit vectors, shapes (set, activation).

    Args:
        having, without: activations of the same images with the concept and as they are; shape (image, activation).
    """
    n = len(without)
    concept, null = [], []
    for _ in range(SETS):
        order = draw.permutation(n)
        half, rest = order[: n // 2], order[n // 2 :]
        concept.append(fit_direction(having[half], without[rest]))
        null.append(fit_direction(without[half], without[rest]))
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


def welch(scores: Floats, random: Floats) -> float:
    """Two-sided p of a difference in means; 1 where neither varies and they are equal, the smallest where they differ.

    Source: Welch 1947.
    """
    from scipy.stats import ttest_ind_from_stats

    if np.ptp(scores) == 0 and np.ptp(random) == 0:
        return 1.0 if scores[0] == random[0] else 0.0
    sides = [(float(one.mean()), float(one.std(ddof=1)), len(one)) for one in (scores, random)]
    return float(ttest_ind_from_stats(*sides[0], *sides[1], equal_var=False).pvalue)


def adjust(p: Floats) -> Floats:
    """Holm's adjusted p values."""
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    found = np.empty(len(p))
    found[order] = np.minimum(raised, 1)
    return found


def _decide(tried: list[_Tried], smallest: float) -> tuple[ConceptRow, ...]:
    adjusted = adjust(np.array([one.p for one in tried]))
    return tuple(
        ConceptRow(
            concept=one.concept, layer=one.layer, accuracy=one.accuracy, score=_spread(one.scores),
            random_score=_spread(one.random), p=float(p), says=_say(one, float(p)), brought=one.brought, taken=one.taken,
            p_null=one.p_null, does=_do(one, smallest),
        )
        for one, p in zip(tried, adjusted, strict=True)
    )  # fmt: skip


def _say(one: _Tried, p: float) -> str:
    if p > ALPHA:
        return LIKE_RANDOM
    return WITH if one.scores.mean() > one.random.mean() else AGAINST


def _do(one: _Tried, smallest: float) -> str:
    """By what adding and removing the direction does; TCAV is not asked."""
    state = classify(one.brought, smallest, narrow=one.narrow)
    beats = one.p_null <= ALPHA
    if state is State.SUPPORTED and beats and (one.taken.low or 0.0) > 0:
        return MOVES
    if state is State.REVERSED and beats and one.taken.high is not None and one.taken.high < 0:
        return TURNS
    return DOES_LITTLE if state is State.NEGLIGIBLE and abs(one.taken.value) < smallest else UNDECIDED


def _spread(scores: Floats) -> Estimate:
    """Mean over random sets, with Student's interval."""
    from scipy.stats import t

    n, value = len(scores), float(scores.mean())
    half = float(t.ppf((1 + LEVEL) / 2, n - 1) * scores.std(ddof=1) / np.sqrt(n))
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), n, "of the images", LEVEL)


def _read(subject: Images, images: NDArray[np.int64], layer: int) -> Floats:
    return _flat(subject.read_layer((images / subject.levels).astype(np.float32), layer))


def _flat(activations: Floats) -> Floats:
    found: Floats = activations.reshape(len(activations), -1).astype(float)
    return found


def _shape(flat: Floats, images: NDArray[np.int64]) -> Floats:
    side = images.shape[1]
    found: Floats = flat.reshape(len(flat), -1, side, side).astype(np.float32)
    return found


def _ends(classes: tuple[int, int], n: int) -> tuple[list[int], list[int]]:
    return [classes[0]] * int(n), [classes[1]] * int(n)
