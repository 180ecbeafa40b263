"""Concepts in the activations of an image classifier: one class's content of the region, written into images of the other.

Directions are fitted on one half of these images and tried on the other; see `directions`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit_core.subject import Images
from audit_core.vision.directions import LEAST, Site, Tried, decide, divide_rows, try_direction
from audit_core.vision.images import ImagePairs, Region
from audit_core.vision.region_test import TOLERANCE
from audit_core.vision.results import ConceptRow

Floats = NDArray[Any]
FRACTION = "fraction of the logit difference"


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
    tried: list[Tried] = []
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
                tried.append(_try(subject, plain, shown, (own, other), name, layer, seed))
    return decide(tried, smallest)


def _try(
    subject: Images,
    plain: NDArray[np.int64],
    shown: NDArray[np.int64],
    classes: tuple[int, int],
    name: str,
    layer: int,
    seed: int,
) -> Tried:
    without, having = (_read(subject, images, layer) for images in (plain, shown))
    held = divide_rows(len(plain))[1]

    def answer(activations: Floats) -> Floats:
        return _prefer(subject.finish_layer(activations, layer), classes)

    direct = _prefer(subject.read_images((plain[held] / subject.levels).astype(np.float32)), classes)
    gradients = _flat(subject.read_layer_gradients(without[held], layer, *_ends(classes, held.sum())))
    site = Site(name, layer, without, having, gradients, answer, direct, np.abs(direct), FRACTION, TOLERANCE)
    return try_direction(site, np.random.default_rng([seed, layer]), seed=seed)


def _prefer(logits: Floats, classes: tuple[int, int]) -> Floats:
    found: Floats = (logits[:, classes[0]] - logits[:, classes[1]]).astype(float)
    return found


def _read(subject: Images, images: NDArray[np.int64], layer: int) -> Floats:
    return _flat(subject.read_layer((images / subject.levels).astype(np.float32), layer))


def _flat(activations: Floats) -> Floats:
    found: Floats = activations.reshape(len(activations), -1).astype(float)
    return found


def _ends(classes: tuple[int, int], n: int) -> tuple[list[int], list[int]]:
    return [classes[0]] * int(n), [classes[1]] * int(n)
