"""Directions of a concept in one layer: difference of means, a probe's, a feature's, and random ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit_core.capability import ACTIVATIONS
from audit_core.dictionaries.dictionary import Dictionary
from audit_core.errors import NotMeasured
from audit_core.probes.linear import fit_probe
from audit_core.prompts.answers import Tokens
from audit_core.steering.concepts import Concept, encode_text
from audit_core.steering.results import Method
from audit_core.subject import Floats, Subject, read_only


@dataclass(frozen=True, eq=False)
class SteeringDirection:
    """A unit vector of the residual stream."""

    method: Method
    what: str
    vector: Floats
    """Shape (d_model,)."""

    def __post_init__(self) -> None:
        read_only(self.vector)


def measure_norm(subject: Subject, rows: Sequence[Tokens], layer: int) -> float:
    """Median norm of the layer's input after the first position: a strength of 1."""
    found = [np.linalg.norm(one[1:], axis=1) for one in ACTIVATIONS.of(subject).read_stream(rows, layer)]
    return float(np.median(np.concatenate(found)))


def find_directions(
    subject: Subject, concept: Concept, layer: int, dictionary: Dictionary | None
) -> tuple[SteeringDirection, ...]:
    """Directions from a concept's texts with and without it: DiffMean, a probe's, and a feature's if there is a dictionary.

    DiffMean and the probe take the mean activation of each text. The feature is the one whose mean value in a text tells the
    two kinds apart best (AUROC); among equals, the one with the larger difference of means.

    Raises:
        NotMeasured: the two kinds of texts have the same mean, or no feature is active.

    Source: Wu et al. 2025, arXiv:2501.17148 (AxBench), for DiffMean and probes as baselines.
    """
    first, second = (
        [
            one[1:]
            for one in ACTIVATIONS.of(subject).read_stream([encode_text(subject.tokenizer, t) for t in texts], layer)
        ]
        for texts in (concept.texts, concept.others)
    )
    means = [np.stack([one.mean(0) for one in streams]).astype(float) for streams in (first, second)]
    apart = means[0].mean(0) - means[1].mean(0)
    weights = fit_probe(np.concatenate(means[::-1]), np.arange(len(first) + len(second)) >= len(second)).weights
    found = [
        SteeringDirection(Method.DIFFMEAN, "difference of means", _scale(apart, concept)),
        SteeringDirection(Method.PROBE, "weights of a logistic probe", _scale(weights, concept)),
    ]
    if dictionary is not None:
        at = choose_feature(dictionary, first, second)
        vector = _scale(dictionary.decoder[at], concept)
        found.append(SteeringDirection(Method.FEATURE, str(dictionary.component(at)), vector))
    return tuple(found)


def choose_feature(dictionary: Dictionary, first: Sequence[Floats], second: Sequence[Floats]) -> int:
    """Number of the feature that tells the first texts from the second best.

    Args:
        first, second: activations of each text, shape (pos, d_model).

    Raises:
        NotMeasured: none is more active in the first.
    """
    ours, others = (np.stack([dictionary.encode(one).mean(0) for one in streams]) for streams in (first, second))
    auroc = ((ours[:, None] > others[None]) + 0.5 * (ours[:, None] == others[None])).mean((0, 1))
    gap = ours.mean(0) - others.mean(0)
    best = int(np.lexsort((gap, auroc))[-1])
    if not gap[best] > 0:
        raise NotMeasured("not_active", "no feature of the dictionary is more active in the texts with the concept.")
    return best


def draw_random(d_model: int, draws: int, *, seed: int) -> tuple[SteeringDirection, ...]:
    """Random directions, the same for every concept."""
    vectors = np.random.default_rng(seed).normal(size=(draws, d_model))
    return tuple(
        SteeringDirection(Method.RANDOM, f"random direction {at + 1}", (one / np.linalg.norm(one)).astype(np.float32))
        for at, one in enumerate(vectors)
    )


def _scale(vector: NDArray[np.floating[Any]], concept: Concept) -> Floats:
    length = float(np.linalg.norm(vector))
    if not (np.isfinite(length) and length > 0):
        raise NotMeasured(
            "control_failed", f"the texts with and without {concept.title[:60]} have the same activations."
        )
    found: Floats = (vector / length).astype(np.float32)
    return found
