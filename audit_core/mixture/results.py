"""What the audit of experts found: routing as observed, and effects as measured."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core.controls import Controls
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.routing import LayerRouting, RoutedToken
from audit_core.stats.estimates import Estimate

NOT_ROUTED = "not routed"


@dataclass(frozen=True)
class MaskSplit:
    """What masking an expert in the router does, in three parts that add up; in the metric's unit, positive if masking lowers it."""

    output_removed: Causal[Estimate]
    """The expert's output is missing; all weights as they were."""
    survivors_reweighted: Causal[Estimate]
    """The other chosen experts get the weights that the router gives them without it."""
    newcomer: Causal[Estimate]
    """The expert that enters in its place."""
    whole: Causal[Estimate]


@dataclass(frozen=True, kw_only=True)
class ExpertRow:
    """One expert: what it received, and its effect."""

    component: str
    slots: int
    """Tokens sent to it on the clean runs, at the scope."""
    n_tokens: int
    load: Observational[Estimate]
    """Share of the layer's choices."""
    weight: Observational[Estimate]
    """Mean weight of its output over all tokens; 0 where it was not chosen."""
    output_norm: Observational[Estimate | None]
    """Mean length of what it writes for the tokens sent to it, unweighted; None if there are none."""
    weighted_norm: Observational[Estimate | None]
    """The same with the weight that the router gave it there."""
    effects: Causal[dict[str, Estimate]]
    """Loss of the metric per replacement, in its unit; empty if no token was sent to it."""
    fractions: Causal[dict[str, Estimate]]
    """The same as a fraction of the clean – corrupted gap; empty without a gap."""
    split: MaskSplit | None
    reading: str
    """not routed | above δ | below −δ | within δ | unresolved: by the intervals under zero and resample. Not a verdict."""


@dataclass(frozen=True, kw_only=True)
class JointEffect:
    """Several experts of one layer ablated together."""

    components: tuple[str, ...]
    tokens_together: int
    """Tokens that were sent to all of them; for a whole layer, to any."""
    effects: Causal[dict[str, Estimate]]
    fractions: Causal[dict[str, Estimate]]
    interaction: Causal[Estimate | None]
    """Joint effect minus the sum of single effects under zero, in the metric's unit; None for a whole layer."""
    reading: str


@dataclass(frozen=True, kw_only=True)
class SharedRow:
    """One layer's shared path, which every token passes through."""

    component: str
    effects: Causal[dict[str, Estimate]]
    """Loss of the metric per replacement, in its unit."""
    fractions: Causal[dict[str, Estimate]]
    """The same as a fraction of the clean – corrupted gap; empty without a gap."""
    restored: Causal[Estimate]
    """Gain of the metric in the corrupted run with the path's clean values, in its unit."""
    reading: str


@dataclass(frozen=True, kw_only=True)
class ForcedRoute:
    """Stated experts in the place of the router's choice; weighed by the router's own scores of them and its own rule."""

    components: tuple[str, ...]
    tokens_moved: int
    """Tokens at the stated places that the router had sent to other experts."""
    n_tokens: int
    effect: Causal[Estimate]
    """Loss of the metric, in its unit."""
    fraction: Causal[Estimate | None]


@dataclass(frozen=True, kw_only=True)
class WeightPoint:
    """An expert whose output has another weight than the router gave it."""

    factor: NotEvidence[float]
    """Of the router's weight."""
    effect: Causal[Estimate]
    """Loss of the metric, in its unit."""


@dataclass(frozen=True, kw_only=True)
class WeightCurve:
    """The metric as the weight of one expert varies; weights of other experts stay as they are."""

    component: str
    points: tuple[WeightPoint, ...]
    """Empty if no token was sent to it."""
    steps: Causal[tuple[Estimate, ...]]
    """Gain of the metric from each factor to the next."""
    reading: str
    """not routed | rises, falls, or rises and falls with the weight | unresolved: by the intervals of the steps. Not a verdict."""


@dataclass(frozen=True, kw_only=True)
class ScreenAgreement:
    """How well one screen ranks the experts as their effects under zero do."""

    screen: str
    agreement: Observational[Estimate | None]
    """Spearman ρ over the experts that received tokens."""
    why_not: str
    """Why there is none; empty if there is."""


@dataclass(frozen=True, kw_only=True)
class ExpertsResult:
    """Routing and effects of every expert."""

    scope: str
    metric: str
    unit: str
    delta: NotEvidence[float]
    n: int
    n_templates: int
    clean: Observational[Estimate]
    corrupted: Observational[Estimate]
    finding: str
    """Effects of the strongest and of the busiest expert, in sentences."""
    experts: tuple[ExpertRow, ...]
    layers: tuple[LayerRouting, ...]
    whole_layers: tuple[JointEffect, ...]
    """All experts of a layer ablated together."""
    shared: tuple[SharedRow, ...]
    """Empty if the model has no shared path."""
    no_shared: str
    """Why the shared paths that it has could not be tested; empty otherwise."""
    forced: tuple[ForcedRoute, ...]
    weighed: tuple[WeightCurve, ...]
    pairs: tuple[JointEffect, ...]
    load_agreement: Observational[Estimate | None]
    """Spearman ρ of load and effect under zero over the experts that received tokens."""
    no_agreement: str
    screens: tuple[ScreenAgreement, ...]
    """Load, mean weight, output norm, and weight × norm."""
    no_fraction: str
    """Why there is no fraction of the gap; empty if there is."""
    tokens: tuple[str, ...]
    """Tokens of the first prompt."""
    trace: tuple[RoutedToken, ...]
    """Where they were sent."""
    backend: str
    """Implementation of the experts that ran."""
    controls: Controls
