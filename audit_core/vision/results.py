"""Request and result of the audit of an image classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from audit_core.component import Kind
from audit_core.controls import Controls
from audit_core.evidence.kind import Causal, Estimated, NotEvidence, Observational
from audit_core.intervention import Replacement
from audit_core.judging.verdict import Verdict
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, Request
from audit_core.stats.estimates import Estimate
from audit_core.vision.images import Region
from audit_core.vision.maps import PATCH, STEPS
from audit_core.vision.shipped import CONTRAST, REGION
from audit_core.vision.verdict import ALPHA

SMALLEST = 0.1
"""Default smallest effect of interest, as a fraction of the logit difference (design: methods 2.2)."""
SETS, DRAWS = 30, 99
"""Of a concept: random sets of images, and random directions."""


@dataclass(frozen=True)
class VisionRequest(Request):
    """Request: images as pairs, and the region under test."""

    settings: ClassVar[Mapping[str, Any]] = {
        "steps": STEPS, "patch": PATCH, "alpha": ALPHA, "concept_sets": SETS, "concept_draws": DRAWS,
    }  # fmt: skip

    prompts: TokenisedPrompts
    region: Region
    smallest: float = SMALLEST
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return ()

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset()


@dataclass(frozen=True)
class VisionFile:
    """How a CSV file of images is asked; the defaults are those of the shipped images."""

    region: Annotated[str, Ask("Region", "Row, column, height and width in pixels, such as 0,0,2,2.")] = REGION
    contrast: Annotated[str, Ask("Classes", "The two classes that are compared, such as 3,8.")] = CONTRAST
    smallest: Annotated[
        float, Ask("Smallest effect", "Fraction of the logit difference; less is called no reliance.")
    ] = SMALLEST


@dataclass(frozen=True, kw_only=True)
class ArmRow:
    """One change of the images."""

    change: str
    """Name of the change, see `region_test.ARMS`."""
    what: str
    effect: Causal[Estimate]
    """Mean loss of the logit difference, in logits."""
    share: Causal[Estimate]
    """The same as a fraction of the logit difference."""
    flipped: Causal[Estimate]
    """Share of images whose preference goes from one class to the other."""


@dataclass(frozen=True, kw_only=True)
class PlaceRow:
    """The same swap at another place."""

    row: int
    column: int
    effect: Causal[float]
    """Mean loss of the logit difference, in logits."""


@dataclass(frozen=True, kw_only=True)
class MapRow:
    """One method over all images."""

    method: str
    title: str
    assumes: str
    on_region: Estimated[Estimate | None]
    """Share of the map's absolute sum that lies in the region; None where the method was refused."""
    on_ink: Estimated[Estimate | None]
    """Share on pixels with ink outside the region."""
    rank: Estimated[int | None]
    """Place of the region among all rectangles of its size that share no pixel with it, and itself, by mean share."""
    n_places: int
    randomised: Estimated[Estimate | None]
    """Rank correlation with its own map on shuffled weights, mean over images."""
    depends: str
    """Whether the map depends on the weights, by that correlation."""
    error: NotEvidence[float | None]
    """Completeness error; None for methods without one."""
    refused: str
    """Why it is not shown; empty if it is."""


@dataclass(frozen=True, kw_only=True)
class ConceptRow:
    """One concept at one layer: what TCAV says, and what its direction does."""

    concept: str
    layer: int
    accuracy: Observational[Estimate]
    """Share of held-out images, with the concept and without, that the direction tells apart."""
    score: Estimated[Estimate]
    """TCAV: share of held-out images whose gradient goes with the direction, mean over random sets."""
    random_score: Estimated[Estimate]
    """The same for directions between random sets."""
    p: Estimated[float]
    """Of the difference between the two, two-sided, after Holm's correction for all concepts and layers."""
    says: str
    """What TCAV says, see `concepts`."""
    brought: Causal[Estimate]
    """Rise of the logit difference towards the concept's class when the direction is added to images without it."""
    taken: Causal[Estimate]
    """Fall of it when the direction is taken from images with it."""
    p_null: Causal[float]
    """Share of random directions of the same length that do as much when added, the concept's own counted among them."""
    does: str
    """What the direction does, from the two changes and the random directions alone."""


@dataclass(frozen=True, kw_only=True)
class ShownImage:
    """One image with its maps and what each change does to it."""

    image: str
    label: int
    foil: int
    pixels: tuple[tuple[int, ...], ...]
    swapped: tuple[tuple[int, ...], ...]
    preference: Observational[float]
    """logit(answer) − logit(foil)."""
    maps: Estimated[dict[str, tuple[tuple[float, ...], ...]]]
    """One grid a method."""
    after: Causal[dict[str, float]]
    """The preference under every change."""


@dataclass(frozen=True, kw_only=True)
class VisionResult:
    """What maps show of an image classifier, and what a region does."""

    finding: str
    verdict: Verdict
    """From the changes alone; no map enters it."""
    n: int
    unit: str
    region: tuple[int, int, int, int]
    """Row, column, height and width."""
    levels: int
    smallest: NotEvidence[float]
    """Smallest effect of interest, as a fraction of the logit difference."""
    accuracy: Observational[Estimate]
    clean: Observational[Estimate]
    """Mean logit difference of the images as they are."""
    area: NotEvidence[float]
    """Share of the image's pixels that the region has."""
    p_null: Causal[float]
    """Share of other places where the same swap does as much, the region itself counted among them."""
    arms: tuple[ArmRow, ...]
    places: tuple[PlaceRow, ...]
    maps: tuple[MapRow, ...]
    shown: tuple[ShownImage, ...]
    controls: Controls
    concepts: tuple[ConceptRow, ...] = ()
    """Empty in results of version 1, and with fewer than 40 images of a class."""
