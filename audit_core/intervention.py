"""Interventions: the run, the components, and what replaces their activations."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from audit_core.component import Component, Kind, format_components
from audit_core.errors import InterventionRefused


class PromptSide(StrEnum):
    """Prompt of the pair that is run."""

    CLEAN = "clean"
    CORRUPTED = "corrupted"

    @property
    def other(self) -> PromptSide:
        return PromptSide.CORRUPTED if self is PromptSide.CLEAN else PromptSide.CLEAN


class Replacement(StrEnum):
    """Replacement of a component's activation."""

    ZERO = "zero"
    MEAN = "mean"
    """Mean over the reference prompts, clean and corrupted, per position."""
    MEAN_TEMPLATE = "mean_template"
    """As `mean`, over prompts of the same template."""
    RESAMPLE = "resample"
    """The activation of the other run of the pair: activation patching."""
    SCALE = "scale"
    """The activation times a factor: below 1 suppresses, above 1 amplifies, below 0 reverses."""
    ADD = "add"
    """The activation plus a factor times a direction."""
    SET = "set"
    """The projection on a direction is the factor: what the direction encodes is the same in every run."""
    UNIFORM = "uniform"
    """Uniform attention over the visible keys; the first token keeps its weight."""
    PERMUTED = "permuted"
    """Attention weights permuted over the visible keys, by the run's seed; the first token keeps its weight."""
    ROUTER_MASK = "router_mask"
    """The router chooses and weighs without the expert: its output is removed, the others' weights change, another expert enters."""
    REWEIGHTED = "reweighted"
    """As `router_mask`, without the expert that enters."""
    FORCED = "forced_route"
    """The edited experts of a layer are the chosen ones, in the place of the router's choice; the router weighs them by its
    own scores of them and its own rule."""
    IN_RANGE = "in_range"
    """Every neuron of an MLP kept between its smallest and its largest value on unedited runs (`Means.ranges`); no ablation."""
    IDENTITY = "identity"
    """Control: the activation of the same run. Must not change the output."""
    NOISE = "noise"
    """Control: the activation plus large seeded noise. Must change the output."""


ABLATIONS = (Replacement.RESAMPLE, Replacement.MEAN, Replacement.MEAN_TEMPLATE, Replacement.ZERO, Replacement.SCALE)
"""Replacements that users may choose for whole components. Left out: `add` and `set` need a direction, two apply to attention
patterns only, three change the routing to experts, two are controls."""
ROUTING = (Replacement.ROUTER_MASK, Replacement.REWEIGHTED, Replacement.FORCED)
"""Changes of the routing, for experts only; reported apart from what an expert writes (methods 2.20)."""
PATTERN_ABLATIONS = (Replacement.UNIFORM, Replacement.PERMUTED)
"""Ablations of the attention pattern only: the head keeps its values, its pattern is ablated (methods 2.15)."""


class Direction(StrEnum):
    """Which of the two runs is edited."""

    NOISING = "noising"
    """Ablate components in the clean run: tests necessity."""
    DENOISING = "denoising"
    """Restore clean activations in the corrupted run: tests sufficiency."""

    @property
    def side(self) -> PromptSide:
        return PromptSide.CLEAN if self is Direction.NOISING else PromptSide.CORRUPTED


MAX_FACTOR = 100.0
MAX_STEP = 1e6
"""Longest step along a direction, in units of the activation."""


@dataclass(frozen=True, eq=False)
class FeatureBlock:
    """Features of one sparse dictionary that are read together from an activation and replaced together.

    value = encoder · x + bias if that is above the threshold, else 0.
    """

    encoder: NDArray[np.float32]
    """Shape (feature, d_model)."""
    bias: NDArray[np.float32]
    """Shape (feature,)."""
    threshold: NDArray[np.float32]
    """Shape (feature,); not negative."""
    decoder: NDArray[np.float32]
    """Unit vectors; shape (feature, d_model)."""
    longest: float = math.inf
    """Norm of an activation above which the dictionary does not read it, nor the edit change it. The first token of a text
    has a norm a hundred times that of others, and no dictionary was trained on it."""
    values: NDArray[np.float32] | None = None
    """For `set`: what each feature's value becomes, shape (feature,); None: the factor of the edit."""

    def __post_init__(self) -> None:
        arrays = (
            self.encoder,
            self.bias,
            self.threshold,
            self.decoder,
            *(() if self.values is None else (self.values,)),
        )
        is_finite = all(bool(np.isfinite(array).all()) for array in arrays)
        is_unit = bool((np.abs(np.linalg.norm(self.decoder, axis=1) - 1) < 1e-3).all())
        if not (is_finite and is_unit and bool((self.threshold >= 0).all()) and self.longest > 0):
            raise InterventionRefused(
                "A dictionary's feature with numbers that are not finite, a decoder not of length 1, or a negative threshold or norm.",
                wanted="finite numbers, decoders of length 1, thresholds that are not negative, a positive norm.",
                remedy="check the dictionary.",
            )

    def __len__(self) -> int:
        return len(self.encoder)


@dataclass(frozen=True)
class Edit:
    """One component and the replacement of its activation."""

    component: Component
    replacement: Replacement
    factor: float = 1.0
    """For `scale`, dimensionless; for `add` and `set`, in units of the direction."""
    direction: tuple[float, ...] | None = None
    """Unit vector in the component's space: only the projection on it is replaced. None: the whole activation."""
    reads: tuple[float, ...] | None = None
    """Vector whose product with the activation is what is replaced along `direction`, for an oblique projection; its product
    with `direction` is 1. None: `direction` itself."""
    block: FeatureBlock | None = None
    """For features: their dictionary's vectors. The component is the first of them. None in an edit of a feature by its name,
    which a model that was opened with its dictionary completes."""

    def __post_init__(self) -> None:
        self._check_component()
        self._check_numbers()
        self._check_feature()
        if self.reads is not None:
            self._check_reads(self.reads)

    def _check_component(self) -> None:
        """Refuse a replacement that this kind of component does not have."""
        if self.component.kind is Kind.ROUTER:
            raise InterventionRefused(
                f"An edit of the scores of {self.component}.",
                wanted="an edit that the model reads: it takes the chosen experts and their weights, not the scores.",
                remedy="mask an expert in the router (`router_mask` of L3.E5), or change its weight (`scale`).",
            )
        if self.replacement in PATTERN_ABLATIONS and self.component.kind is not Kind.PATTERN:
            raise InterventionRefused(
                f"{self.component} made {self.replacement}.",
                wanted="an attention pattern such as L9.A6: only patterns have weights over keys.",
                remedy="name the head's pattern, or choose zero, mean or resample.",
            )
        if self.replacement is Replacement.IN_RANGE and self.component.kind is not Kind.MLP:
            raise InterventionRefused(
                f"{self.component} kept in range.",
                wanted="an MLP such as L3.MLP: ranges are those of its neurons.",
                remedy="name the MLP, or choose zero, mean or resample.",
            )
        if self.replacement in ROUTING and self.component.kind is not Kind.EXPERT:
            raise InterventionRefused(
                f"{self.component} → {self.replacement}.",
                wanted="an expert such as L3.E5: a router sends tokens to experts only.",
                remedy="name an expert, or choose zero, mean or resample.",
            )
        if (
            self.direction is not None
            and self.component.kind is Kind.EXPERT
            and self.replacement is not Replacement.ADD
        ):
            raise InterventionRefused(
                f"A direction of {self.component} → {self.replacement}.",
                wanted="`add`, the only replacement of an expert along a direction.",
                remedy="replace the whole output.",
            )

    def _check_numbers(self) -> None:
        """Refuse a factor or a direction out of its bounds."""
        # A direction's length is that of the activations, which may be hundreds.
        most = MAX_FACTOR if self.replacement is Replacement.SCALE else MAX_STEP
        if self.replacement in (Replacement.SCALE, Replacement.ADD, Replacement.SET) and not (
            math.isfinite(self.factor) and abs(self.factor) <= most
        ):
            raise InterventionRefused(
                f"Factor {self.factor}.",
                wanted=f"a number from -{most:g} to {most:g}.",
                remedy="choose a smaller factor.",
            )
        if self.replacement in (Replacement.ADD, Replacement.SET) and self.direction is None and self.block is None:
            raise InterventionRefused(
                f"Nothing to {self.replacement} at {self.component}.",
                wanted="a direction.",
                remedy="give a unit vector.",
            )
        if self.direction is not None and not abs(math.fsum(x * x for x in self.direction) - 1) < 1e-3:
            raise InterventionRefused(
                f"The direction at {self.component} does not have length 1.",
                wanted="a unit vector of finite numbers.",
                remedy="divide it by its length.",
            )

    def _check_feature(self) -> None:
        """Refuse what a feature does not have, and a dictionary's vectors of anything else."""
        if self.component.kind is not Kind.FEATURE:
            if self.block is not None:
                raise InterventionRefused(
                    f"A dictionary's vectors at {self.component}.", wanted="a feature such as L12.F431.",
                    remedy="leave them out.",
                )  # fmt: skip
            return
        if self.direction is not None or self.reads is not None:
            raise InterventionRefused(
                f"A direction of {self.component}.", wanted="the feature's own vectors.",
                remedy="make the edit with `Dictionary.edit`, or name the feature on a model that was opened with its dictionary.",
            )  # fmt: skip
        is_mean = self.replacement in (Replacement.MEAN, Replacement.MEAN_TEMPLATE)
        if self.replacement is Replacement.MEAN_TEMPLATE or (is_mean and self.block is not None):
            raise InterventionRefused(
                f"{self.component} → {self.replacement}.",
                wanted="zero, set, scale, add or resample: the value of a mean activation is not the mean value.",
                remedy="use `set` with the feature's mean value.",
            )

    def _check_reads(self, reads: tuple[float, ...]) -> None:
        is_of_one_space = self.direction is not None and len(self.direction) == len(reads)
        if self.direction is None or not is_of_one_space or self.replacement is Replacement.ADD:
            raise InterventionRefused(
                f"A vector that is read at {self.component}, without the direction that it belongs to.",
                wanted="a direction of the same size, and a replacement that reads.",
                remedy="give both, or choose zero, set or resample.",
            )
        if not abs(math.fsum(a * b for a, b in zip(reads, self.direction)) - 1) < 1e-3:
            raise InterventionRefused(
                f"The vector that is read at {self.component} does not have product 1 with its direction.",
                wanted="a projection: applied twice it changes nothing more.",
                remedy="divide it by that product.",
            )

    def __str__(self) -> str:
        part = str(self.component) if self.direction is None else f"a direction of {self.component}"
        if self.replacement is Replacement.SCALE:
            return f"{part} × {self.factor:g}"
        return f"{part} → {self.replacement}"


@dataclass(frozen=True)
class Intervention:
    """Edits of one run of the pair; without edits, the run itself."""

    edits: tuple[Edit, ...] = ()
    side: PromptSide = PromptSide.CLEAN

    def __post_init__(self) -> None:
        object.__setattr__(self, "edits", tuple(sorted(self.edits, key=lambda edit: edit.component)))
        _check_routing(self.edits)
        _check_features(self.edits)
        seen = [edit.component for edit in self.edits]
        whole = {component for component in seen if component.position is None}
        twice = {c for c in seen if c.position is not None and replace(c, position=None, key=None) in whole}
        if len(seen) != len(set(seen)):
            twice |= {c for c in seen if seen.count(c) > 1}
        if twice:
            raise InterventionRefused(
                f"{format_components(twice)} edited twice.",
                wanted="one replacement per component.",
                remedy="remove one of them.",
            )

    @property
    def components(self) -> tuple[Component, ...]:
        return tuple(edit.component for edit in self.edits)

    @property
    def replacements(self) -> frozenset[Replacement]:
        return frozenset(edit.replacement for edit in self.edits)

    def __str__(self) -> str:
        return f"{self.side}: " + (", ".join(map(str, self.edits)) or "nothing replaced")


def _check_features(edits: tuple[Edit, ...]) -> None:
    """Refuse two blocks of features in one layer: the second would be read from what the first left."""
    blocks = [edit.component for edit in edits if edit.block is not None]
    if len(blocks) != len({part.layer for part in blocks}):
        raise InterventionRefused(
            f"{format_components(blocks)[:200]} edited together.",
            wanted="one replacement for the features of a layer, which are read from the same activations.",
            remedy="make them separate interventions, or one block of features.",
        )


def _check_routing(edits: tuple[Edit, ...]) -> None:
    """Refuse a change of a layer's routing beside another edit of its experts, which would not add up."""
    # First: a control may have an edit for every neuron of a model.
    for edit in [edit for edit in edits if edit.replacement in ROUTING]:
        layer, how = (Kind.EXPERT, edit.component.layer), (edit.replacement, edit.component.position)
        others = [other for other in edits if (other.component.kind, other.component.layer) == layer]
        if any((other.replacement, other.component.position) != how for other in others if not _are_apart(edit, other)):
            raise InterventionRefused(
                f"{edit} beside another edit of the experts of layer {edit.component.layer}.",
                wanted="one change of the routing per layer.",
                remedy="make them separate interventions.",
            )


def _are_apart(edit: Edit, other: Edit) -> bool:
    """Whether both force routes, at different tokens; -1 and 7 may be the same."""
    at, there = edit.component.position, other.component.position
    is_forced = edit.replacement is other.replacement is Replacement.FORCED
    return is_forced and at is not None and there is not None and at != there and (at < 0) == (there < 0)


CLEAN_RUN = Intervention()
CORRUPTED_RUN = Intervention(side=PromptSide.CORRUPTED)


def intervene(
    components: Iterable[Component],
    replacement: Replacement,
    *,
    direction: Direction = Direction.NOISING,
    factor: float = 1.0,
) -> Intervention:
    """Replace each of these components in the same way.

    Raises:
        InterventionRefused: denoising with a replacement other than `resample`.

    Example:
        >>> from audit_core.component import head
        >>> str(intervene([head(9, 6)], Replacement.ZERO).edits[0].component)
        'L9.H6'
    """
    if direction is Direction.DENOISING and replacement not in (
        Replacement.RESAMPLE,
        Replacement.IDENTITY,
        Replacement.NOISE,
    ):
        raise InterventionRefused(
            f"Denoising with {replacement}.",
            wanted="resample: clean activations restored in the corrupted run.",
            remedy="choose resample, or noising.",
        )
    return Intervention(tuple(Edit(c, replacement, factor) for c in components), direction.side)


def describe_replacement(replacement: Replacement) -> str:
    """The replacement in words, for reports."""
    return {
        Replacement.ZERO: "set to zero",
        Replacement.MEAN: "replaced by the mean over the reference prompts at the same position",
        Replacement.MEAN_TEMPLATE: "replaced by the mean over prompts of its template at the same position",
        Replacement.RESAMPLE: "replaced by the activation of the pair's other run",
        Replacement.SCALE: "multiplied by a factor",
        Replacement.ADD: "moved along a direction",
        Replacement.SET: "set to one value along a direction",
        Replacement.UNIFORM: "made uniform over the visible keys, except for the first token",
        Replacement.PERMUTED: "permuted over the visible keys, except for the first token",
        Replacement.ROUTER_MASK: "masked in the router, so that another expert enters and the weights change",
        Replacement.REWEIGHTED: "removed, with the weights that the router gives to the others when it is masked",
        Replacement.FORCED: "chosen in the place of the router's choice, with the weights that the router gives them",
        Replacement.IN_RANGE: "kept between the smallest and the largest value of unedited runs, neuron by neuron",
        Replacement.IDENTITY: "replaced by itself",
        Replacement.NOISE: "disturbed by large noise",
    }[replacement]
