"""Maps and region test of an image classifier on one set of images, each into fields of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from audit_core.errors import NotMeasured
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratio, correlate_ranks
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.stats.shares import wilson
from audit_core.subject import Floats, Images, Progress, no_progress
from audit_core.vision.concepts import measure_concepts
from audit_core.vision.images import ImagePairs, Region, find_images
from audit_core.vision.maps import METHODS, MOST_ERROR, MapMethod, Tick, completeness_error, count_passes
from audit_core.vision.region_test import ARMS, SWAP, RegionRuns, run_region
from audit_core.vision.results import DRAWS, ArmRow, MapRow, PlaceRow, ShownImage, VisionRequest, VisionResult
from audit_core.vision.verdict import RegionEvidence, judge_region

UNIT = "logits"
FRACTION = "fraction of the logit difference"
SHOWN = 8
"""Images that are kept with their maps: the first ones of each class."""
CHECKED = 50
"""Most images whose maps are read again on shuffled weights."""
MOST_RHO = 0.5
"""A map depends on the weights if its correlation with that of shuffled weights is below this (design: methods 2.13)."""
DEPENDS, IGNORES, UNDECIDED = "depends on the weights", "does not depend on the weights", "not decided"
_INTEGRATED = "integrated_gradients"


def count_work(side: int, region: Region, n: int) -> int:
    """Forward passes of one image each: the region test, every map, and every map of some images on shuffled weights."""
    test = 2 * len(region.list_elsewhere(side)) + len(ARMS) + 3
    each = sum(count_passes(method.name, side) for method in METHODS)
    # Of two concepts at two places, random directions are added to a quarter of the images, at each layer.
    return n * test + (n + min(n, CHECKED)) * each + n * DRAWS


class _Steps:
    """Passes done so far, reported as they are done."""

    def __init__(self, total: int, on_progress: Progress) -> None:
        self._done, self._total, self._on_progress = 0, total, on_progress

    def add(self, passes: int) -> None:
        self._done = min(self._done + passes, self._total)
        self._on_progress(self._done, self._total)

    def of(self, n: int) -> Tick:
        """Counts passes over n images at once."""
        return lambda passes: self.add(n * passes)


def measure_vision(subject: Images, request: VisionRequest, *, on_progress: Progress = no_progress) -> VisionResult:
    """Test the region, then read every map.

    Raises:
        Refused: the prompts are no images of this model.
        NotMeasured: the sign of the logit difference is unclear over images.
        ControlFailed: an instrument check fails.
    """
    pairs, seed = find_images(request.prompts, subject), request.seed
    runs = run_region(subject, pairs, request.region, seed=seed)
    total = count_work(subject.side, request.region, len(pairs.answers))
    steps = _Steps(total, on_progress)
    steps.add(len(pairs.answers) * (2 * len(runs.places) + len(ARMS) + 3))
    arms, evidence, clean = _weigh(runs, request.smallest, seed=seed)
    maps, grids = _read_maps(subject, pairs, request.region, seed=seed, steps=steps)
    contrast = pairs.answers[0], pairs.foils[0]
    concepts = measure_concepts(subject, pairs, request.region, contrast, request.smallest, seed=seed)
    on_progress(total, total)
    verdict = judge_region(evidence)
    n = len(pairs.answers)
    return VisionResult(
        finding=verdict.sentence, verdict=verdict, n=n, unit=UNIT,
        region=(request.region.row, request.region.column, request.region.height, request.region.width),
        levels=subject.levels, smallest=request.smallest,
        accuracy=wilson(int(runs.is_right.sum()), n, "right, among all classes"), clean=clean,
        area=request.region.height * request.region.width / subject.side**2, p_null=evidence.p_null, arms=arms,
        places=tuple(
            PlaceRow(row=place.row, column=place.column, effect=float(effect))
            for place, effect in zip(runs.places, runs.elsewhere.mean(1), strict=True)
        ),
        maps=maps, shown=_show(request, pairs, runs, grids), controls=runs.controls, concepts=concepts,
    )  # fmt: skip


def _weigh(runs: RegionRuns, smallest: float, *, seed: int) -> tuple[tuple[ArmRow, ...], RegionEvidence, Estimate]:
    """The effect of every change with its interval over images, and what the verdict rests on."""
    each = [str(at) for at in range(len(runs.clean))]
    clean = bootstrap_mean(runs.clean, each, unit=UNIT, seed=seed)
    does_task = clean.low is not None and clean.low > 0
    if not does_task:
        raise NotMeasured("model_fails_task", "the model does not prefer the right class of the two on these images.")
    losses = {name: runs.clean - after for name, after in runs.changed.items()}

    def share(name: str, level: float = LEVEL) -> Estimate:
        return bootstrap_ratio(losses[name], runs.clean, each, unit=FRACTION, seed=seed, level=level)

    arms = tuple(
        ArmRow(
            change=name, what=what, effect=bootstrap_mean(losses[name], each, unit=UNIT, seed=seed), share=share(name),
            flipped=wilson(int(((runs.clean > 0) & (runs.changed[name] < 0)).sum()), len(each), "of the images"),
        )
        for name, what in ARMS.items()
    )  # fmt: skip
    effect = abs(losses[SWAP].mean())
    beaten_by = int((np.abs(runs.elsewhere.mean(1)) >= effect).sum())
    evidence = RegionEvidence(
        effects={arm.change: arm.share for arm in arms}, narrow=share(SWAP, 2 * LEVEL - 1), smallest=smallest,
        p_null=(1 + beaten_by) / (1 + len(runs.places)), n_places=len(runs.places), does_task=does_task,
    )  # fmt: skip
    return arms, evidence, clean


def _read_maps(
    subject: Images, pairs: ImagePairs, region: Region, *, seed: int, steps: _Steps
) -> tuple[tuple[MapRow, ...], dict[str, Floats]]:
    images = (pairs.clean / subject.levels).astype(np.float32)
    other = subject.shuffled(seed=seed)
    few = np.unique(np.linspace(0, len(images) - 1, CHECKED).round().astype(int))
    ends = [[classes[at] for at in few] for classes in (pairs.answers, pairs.foils)]
    rows, grids = [], {}
    for method in METHODS:
        found = method.read(subject, images, pairs.answers, pairs.foils, steps.of(len(images)))
        error = (
            completeness_error(subject, found, images, pairs.answers, pairs.foils)
            if method.name == _INTEGRATED
            else None
        )
        randomised = _correlate(found[few], method.read(other, images[few], *ends, steps.of(len(few))), seed)
        if error is not None and error > MOST_ERROR:
            rows.append(_refuse(method, region, subject.side, error))
            continue
        grids[method.name] = found
        rows.append(_describe(method, found, randomised, pairs, region, error, seed))
    return tuple(rows), grids


def _refuse(method: MapMethod, region: Region, side: int, error: float) -> MapRow:
    why = f"its sum misses the change of the answer by {error:.0%}, and {MOST_ERROR:.0%} are allowed"
    return MapRow(
        method=method.name, title=method.title, assumes=method.assumes, on_region=None, on_ink=None, rank=None,
        n_places=1 + len(region.list_elsewhere(side)), randomised=None, depends=UNDECIDED, error=error, refused=why,
    )  # fmt: skip


def _describe(
    method: MapMethod,
    found: Floats,
    randomised: Estimate | None,
    pairs: ImagePairs,
    region: Region,
    error: float | None,
    seed: int,
) -> MapRow:
    side = found.shape[1]
    total = np.abs(found).sum((1, 2))
    has_map = total > 0
    shares = np.abs(found[has_map]) / total[has_map, None, None]
    each = [str(at) for at in np.flatnonzero(has_map)]
    inside = shares[:, *region.cut].sum((1, 2))
    ink = pairs.clean[has_map] > 0
    ink[:, *region.cut] = False
    elsewhere = [float(shares[:, *place.cut].sum((1, 2)).mean()) for place in region.list_elsewhere(side)]
    return MapRow(
        method=method.name, title=method.title, assumes=method.assumes,
        on_region=bootstrap_mean(inside, each, unit="of the map", seed=seed) if each else None,
        on_ink=bootstrap_mean((shares * ink).sum((1, 2)), each, unit="of the map", seed=seed) if each else None,
        rank=1 + sum(one > float(inside.mean()) for one in elsewhere) if each else None, n_places=1 + len(elsewhere),
        randomised=randomised, depends=_name_dependence(randomised), error=error,
        refused="" if each else "the map is zero on every image",
    )  # fmt: skip


def _correlate(found: Floats, shuffled: Floats, seed: int) -> Estimate | None:
    """Mean rank correlation of the maps of each image; images with a constant map are left out."""
    values = []
    for one, other in zip(found, shuffled, strict=True):
        if np.ptp(one) > 0 and np.ptp(other) > 0:
            values.append(correlate_ranks(one.ravel(), other.ravel()))
    if not values:
        return None
    return bootstrap_mean(np.array(values), [str(at) for at in range(len(values))], unit="Spearman ρ", seed=seed)


def _name_dependence(found: Estimate | None) -> str:
    if found is None or found.low is None or found.high is None:
        return UNDECIDED
    return DEPENDS if found.high < MOST_RHO else IGNORES if found.low >= MOST_RHO else UNDECIDED


def _show(
    request: VisionRequest, pairs: ImagePairs, runs: RegionRuns, grids: dict[str, Floats]
) -> tuple[ShownImage, ...]:
    """The first images of each class: none is picked for what it shows."""
    labels = dict.fromkeys(pairs.answers)
    chosen = [at for label in labels for at in np.flatnonzero(np.array(pairs.answers) == label)[: SHOWN // 2]]
    return tuple(
        ShownImage(
            image=request.prompts.pairs[at].prompt.id, label=pairs.answers[at], foil=pairs.foils[at],
            pixels=_grid(pairs.clean[at].tolist()), swapped=_grid(pairs.swapped[at].tolist()),
            preference=float(runs.clean[at]), maps={name: _grid(found[at].tolist()) for name, found in grids.items()},
            after={name: float(after[at]) for name, after in runs.changed.items()},
        )
        for at in chosen
    )  # fmt: skip


def _grid(rows: Sequence[Sequence[Any]]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(row) for row in rows)
