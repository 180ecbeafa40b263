"""The causal test of a region: its pixels are swapped, removed or moved, and the answer is read. Knows of no map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.controls import NOISE_FACTOR, Controls
from audit_core.errors import ControlFailed
from audit_core.subject import Floats, Images
from audit_core.vision.images import ImagePairs, Region

TOLERANCE = 1e-3
"""Largest change of a logit that is numerical noise, in logits; float32 sums in another order."""
SWAP, REMOVE, MOVE, REST = "swap", "remove", "move", "rest"
ARMS: Mapping[str, str] = {
    SWAP: "the region of an image of the other class is put in its place",
    REMOVE: "the region is emptied",
    MOVE: "the region is moved to the opposite side of the centre",
    REST: "everything but the region is emptied, as a positive control",
}
"""Every change, and what it is."""


@dataclass(frozen=True, eq=False)
class RegionRuns:
    """Logit differences of every image, as it is and changed."""

    clean: Floats
    """logit(answer) − logit(foil); shape (image,)."""
    is_right: NDArray[np.bool_]
    """Whether the answer has the largest of all logits; shape (image,)."""
    changed: Mapping[str, Floats]
    """The same per change; shape (image,)."""
    elsewhere: Floats
    """Effect of the same swap at other places; shape (place, image)."""
    places: tuple[Region, ...]
    controls: Controls


def run_region(subject: Images, pairs: ImagePairs, region: Region, *, seed: int) -> RegionRuns:
    """Run every change on every image, the same swap elsewhere, and the controls.

    Raises:
        ControlFailed: an image read twice differs, or noise changes no logit.
    """
    logits = subject.read_images(_scale(subject, pairs.clean))
    rows = np.arange(len(pairs.clean))
    answers, foils = np.array(pairs.answers), np.array(pairs.foils)

    def read(images: NDArray[np.int64]) -> Floats:
        found = subject.read_images(_scale(subject, images))
        difference: Floats = found[rows, answers] - found[rows, foils]
        return difference

    clean: Floats = logits[rows, answers] - logits[rows, foils]
    changed = {name: read(image) for name, image in change_images(pairs, region, subject.side).items()}
    places = region.list_elsewhere(subject.side)
    elsewhere = np.stack([read(own) - read(other) for own, other in (_put(pairs, region, at) for at in places)])
    n_edits = len(rows) * (len(changed) + 2 * len(places))
    controls = _check(read, pairs, region, clean, subject.levels, n_edits, seed)
    return RegionRuns(clean, logits.argmax(1) == answers, changed, elsewhere, places, controls)


def change_images(pairs: ImagePairs, region: Region, side: int) -> dict[str, NDArray[np.int64]]:
    """The images under every change; each shape (image, row, column)."""
    own = pairs.clean[:, *region.cut]
    removed = pairs.clean.copy()
    removed[:, *region.cut] = 0
    moved = removed.copy()
    moved[:, *region.find_opposite(side).cut] = own
    rest = np.zeros_like(pairs.clean)
    rest[:, *region.cut] = own
    return {SWAP: pairs.swapped, REMOVE: removed, MOVE: moved, REST: rest}


def _put(pairs: ImagePairs, region: Region, place: Region) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both contents of the region at another place: the swap is then the same change of pixels as at the region."""
    found = []
    for source in (pairs.clean, pairs.swapped):
        image = pairs.clean.copy()
        image[:, *place.cut] = source[:, *region.cut]
        found.append(image)
    return found[0], found[1]


def _check(
    read: object, pairs: ImagePairs, region: Region, clean: Floats, levels: int, n_edits: int, seed: int
) -> Controls:
    """Identity: writing a region's own pixels changes nothing. Noise: random pixels everywhere change each answer."""
    assert callable(read)
    same = pairs.clean.copy()
    same[:, *region.cut] = pairs.clean[:, *region.cut]
    identity = float(np.abs(read(same) - clean).max())
    noise = np.random.default_rng(seed).integers(0, levels + 1, pairs.clean.shape)
    moved = float(np.median(np.abs(read(noise) - clean)))
    if not identity <= TOLERANCE:
        raise ControlFailed(f"An image with its own pixels written back differs by {identity:.3g} logits.")
    if not moved > NOISE_FACTOR * TOLERANCE:
        raise ControlFailed(f"Random pixels change the median answer by {moved:.3g} logits: the model reads no pixels.")
    return Controls(identity, moved, TOLERANCE, n_edits)


def _scale(subject: Images, pixels: NDArray[np.int64]) -> Floats:
    found: Floats = (pixels / subject.levels).astype(np.float32)
    return found
