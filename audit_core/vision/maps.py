"""Maps over the pixels of an image: what four methods say. Estimates, and no evidence of what a region does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from audit_core.subject import Floats, Images

STEPS = 800
"""Of integrated gradients, by the midpoint rule: fewer miss the change of some image by more than 0.001, because each ReLU
makes a kink in the path."""
TOGETHER = 128
"""Images of a batch of gradients, at most."""
PATCH = 2
"""Side of the square that occlusion covers, in pixels."""
BACKWARD = 3
"""Cost of a gradient, in forward passes."""
Tick = Callable[[int], None]
"""Called with forward passes done; raises `Cancelled` to stop."""
MOST_ERROR = 0.05
"""Largest completeness error; beyond it integrated gradients are not shown."""


@dataclass(frozen=True)
class MapMethod:
    """One method."""

    name: str
    title: str
    assumes: str
    read: Callable[..., Floats]
    """Subject, images, answers, foils, and `tick` → map in logits, or in logits per pixel value; shape (image, row, column)."""


def no_tick(passes: int) -> None:
    """Ignore progress."""


def count_passes(method: str, side: int) -> int:
    """Forward passes of each image."""
    return {"integrated_gradients": BACKWARD * STEPS, "occlusion": (side - PATCH + 1) ** 2 + 1}.get(method, BACKWARD)


def preference(subject: Images, images: Floats, answers: Sequence[int], foils: Sequence[int]) -> Floats:
    """logit(answer) − logit(foil); shape (image,)."""
    logits = subject.read_images(images)
    rows = np.arange(len(images))
    found: Floats = logits[rows, list(answers)] - logits[rows, list(foils)]
    return found


def saliency(
    subject: Images, images: Floats, answers: Sequence[int], foils: Sequence[int], tick: Tick = no_tick
) -> Floats:
    """|∂(logit difference) / ∂pixel|.

    Source: Simonyan, Vedaldi and Zisserman 2013, arXiv:1312.6034.
    """
    return np.abs(subject.read_image_gradients(images, answers, foils))


def gradient_input(
    subject: Images, images: Floats, answers: Sequence[int], foils: Sequence[int], tick: Tick = no_tick
) -> Floats:
    """Gradient × pixel: the change of the answer without the pixel, if the model were linear.

    Source: Shrikumar et al. 2016, arXiv:1605.01713.
    """
    found: Floats = images * subject.read_image_gradients(images, answers, foils)
    return found


def grad_cam(
    subject: Images, images: Floats, answers: Sequence[int], foils: Sequence[int], tick: Tick = no_tick
) -> Floats:
    """relu(Σ_c α_c A_c) with α_c the mean gradient over channel c; coarser maps are repeated up to the image's size.

    Source: Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2.
    """
    maps = subject.read_feature_maps(images, answers, foils)
    weight = maps.gradients.mean((2, 3), keepdims=True)
    found = np.maximum((weight * maps.activations).sum(1), 0)
    repeat = images.shape[1] // found.shape[1]
    grown: Floats = found.repeat(repeat, 1).repeat(repeat, 2).astype(np.float32)
    return grown


def occlusion(
    subject: Images, images: Floats, answers: Sequence[int], foils: Sequence[int], tick: Tick = no_tick
) -> Floats:
    """Loss of the logit difference when a square of `PATCH` pixels is set to the background, mean of all that cover a pixel.

    Source: Zeiler and Fergus 2013, arXiv:1311.2901, section 4.2.
    """
    side = images.shape[1]
    before = preference(subject, images, answers, foils)
    total, covered = np.zeros(images.shape), np.zeros((side, side))
    for row in range(side - PATCH + 1):
        for column in range(side - PATCH + 1):
            cut = slice(row, row + PATCH), slice(column, column + PATCH)
            hidden = images.copy()
            hidden[:, *cut] = 0
            total[:, *cut] += (before - preference(subject, hidden, answers, foils))[:, None, None]
            covered[cut] += 1
            tick(1)
    found: Floats = (total / covered).astype(np.float32)
    return found


def integrated_gradients(
    subject: Images, images: Floats, answers: Sequence[int], foils: Sequence[int], tick: Tick = no_tick
) -> Floats:
    """Mean gradient along the straight path from an empty image, times the pixel.

    Source: Sundararajan, Taly and Yan 2017, arXiv:1703.01365.
    """
    total, n = np.zeros(images.shape), len(images)
    # Several steps of few images fill a batch, with the same bits; an image by itself takes other operations than several.
    together = max(1, TOGETHER // n) if n > 1 else 1
    for first in range(0, STEPS, together):
        steps = range(first, min(first + together, STEPS))
        rows = np.concatenate([images * np.float32((step + 0.5) / STEPS) for step in steps])
        found = subject.read_image_gradients(rows, [*answers] * len(steps), [*foils] * len(steps))
        for gradients in found.reshape(len(steps), *images.shape):
            total += gradients
        tick(BACKWARD * len(steps))
    values: Floats = (images * total / STEPS).astype(np.float32)
    return values


def completeness_error(
    subject: Images, values: Floats, images: Floats, answers: Sequence[int], foils: Sequence[int]
) -> float:
    """Largest |Σ map − (F(image) − F(empty image))| over images, as a fraction of the mean |F(image) − F(empty image)|."""
    change = preference(subject, images, answers, foils) - preference(
        subject, np.zeros_like(images), answers, foils
    )  # fmt: skip
    return float(np.abs(values.sum((1, 2)) - change).max() / max(float(np.abs(change).mean()), 1e-9))


METHODS = (
    MapMethod("grad_cam", "Grad-CAM", "One weight a channel says enough: where a channel is active is ignored.", grad_cam),
    MapMethod("saliency", "Saliency", "A tiny change of a pixel says what a large one does. It has no sign.", saliency),
    MapMethod("gradient_input", "Gradient × input", "The model is linear between an empty pixel and this one.", gradient_input),
    MapMethod("occlusion", "Occlusion", "An empty square is a usual input, and squares act one at a time.", occlusion),
    MapMethod(
        "integrated_gradients", "Integrated gradients",
        "The comparison is an empty image: 0 is the value of a pixel without ink.", integrated_gradients,
    ),
)  # fmt: skip
