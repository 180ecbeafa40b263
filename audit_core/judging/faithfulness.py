"""Necessity and sufficiency of a circuit, from effects: fractions of the clean – empty-circuit gap."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.claim import Claim, Role, Universe
from audit_core.component import Component, Kind, resid
from audit_core.effect import Effect
from audit_core.errors import NotMeasured
from audit_core.intervention import Edit, Intervention, Replacement, intervene
from audit_core.stats.bootstrap import bootstrap_ratio
from audit_core.stats.estimates import Estimate
from audit_core.subject import Subject

UNIT = "fraction of the clean–empty gap"
"""Unit of verdicts: gap between the whole model and the empty circuit, both on clean prompts."""
PAIR_UNIT = "fraction of the clean–corrupted gap"
"""Unit of single components on the map: gap between the two prompts of the pair."""
OVERSHOOT = 1.2
"""Above this a circuit exceeds the whole model: a negative component is missing (methods 1.6)."""


@dataclass(frozen=True)
class CircuitRuns:
    """The three interventions behind necessity and sufficiency of a circuit, by one replacement."""

    without: Intervention
    """The circuit ablated."""
    alone: Intervention
    """Everything else in the universe ablated."""
    empty: Intervention
    """The whole universe ablated: the empty circuit."""

    def as_tuple(self) -> tuple[Intervention, Intervention, Intervention]:
        return self.without, self.alone, self.empty


def list_universe(subject: Subject, universe: Universe) -> tuple[Component, ...]:
    """All components of a universe."""
    return tuple(component for kind in list_kinds(universe) for component in subject.components(kind))


def list_kinds(universe: Universe) -> tuple[Kind, ...]:
    """Kinds of components that are replaced where a whole universe is; see `replace_rest`."""
    return (*universe.kinds, Kind.RESID) if Kind.FEATURE in universe.kinds else universe.kinds


def replace_rest(
    subject: Subject, kept: Collection[Component], universe: Universe, replacement: Replacement
) -> Intervention:
    """Replace everything in a universe but some components; with none of them, the whole universe: the empty circuit.

    Features of a dictionary are a share of the residual stream, so that everything is the stream that enters their layer: what
    the dictionary does not rebuild is replaced too, and the kept features have the values of the same run.
    """
    everything, inside = list_universe(subject, universe), set(kept)
    if Kind.FEATURE not in universe.kinds:
        return intervene([part for part in everything if part not in inside], replacement)
    stream = [Edit(resid(layer), replacement) for layer in sorted({part.layer for part in everything})]
    return Intervention((*stream, *(Edit(part, Replacement.IDENTITY) for part in kept)))


def plan_circuit(
    subject: Subject, components: Sequence[Component], universe: Universe, replacement: Replacement
) -> CircuitRuns:
    """Build the interventions of a circuit."""
    return CircuitRuns(
        intervene(components, replacement),
        replace_rest(subject, components, universe, replacement),
        replace_rest(subject, (), universe, replacement),
    )


@dataclass(frozen=True, eq=False)
class CircuitEffect:
    """One metric of a circuit's runs; each shape (prompt,), in the metric's unit."""

    clean: NDArray[np.float64]
    without: NDArray[np.float64]
    alone: NDArray[np.float64]
    empty: NDArray[np.float64]
    clusters: tuple[str, ...]
    min_gap: float
    """See `Metric.min_gap`."""

    def take(self, prompts: Sequence[int]) -> CircuitEffect:
        """Select prompts."""
        at = np.asarray(prompts)
        clusters = tuple(self.clusters[i] for i in prompts)
        return CircuitEffect(self.clean[at], self.without[at], self.alone[at], self.empty[at], clusters, self.min_gap)

    @property
    def necessity(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Numerator and denominator of N = (m(M) − m(M∖C)) / (m(M) − m(∅)), per prompt."""
        return self.clean - self.without, self.clean - self.empty

    @property
    def sufficiency(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Numerator and denominator of S = (m(C) − m(∅)) / (m(M) − m(∅)), per prompt."""
        return self.alone - self.empty, self.clean - self.empty


def read_circuit(effect: Effect, runs: CircuitRuns) -> CircuitEffect:
    """Select a circuit's three runs from a measured effect."""
    at = {intervention: i for i, intervention in enumerate(effect.interventions)}
    without, alone, empty = (effect.patched[at[run]] for run in runs.as_tuple())
    return CircuitEffect(effect.clean, without, alone, empty, effect.prompts.templates, effect.min_gap)


def estimate_faithfulness(circuit: CircuitEffect, role: Role, *, seed: int, level: float) -> Estimate:
    """Necessity or sufficiency: share of the clean – empty-circuit gap of a circuit, as a ratio of means.

    necessary:  N = (m(M) − m(M∖C)) / (m(M) − m(∅))
    sufficient: S = (m(C) − m(∅)) / (m(M) − m(∅))

    Args:
        circuit: metric per prompt of four runs, each shape (prompt,).
        seed: seed of the bootstrap over templates.
        level: confidence level of the interval.

    Returns:
        Estimate in `UNIT`; not clipped, so it may exceed 1 or be negative.

    Raises:
        NotMeasured: the whole model and the empty circuit do not differ by `min_gap`.

    Source: Wang et al. 2022, arXiv:2211.00593, section 4; Miller et al. 2024, arXiv:2407.08734.
    """
    numerator, denominator = circuit.necessity if role is Role.NECESSARY else circuit.sufficiency
    check_empty_gap(denominator, circuit.min_gap)
    return bootstrap_ratio(numerator, denominator, circuit.clusters, unit=UNIT, seed=seed, level=level)


def check_empty_gap(gap: NDArray[np.float64], min_gap: float) -> None:
    """Check that the clean – empty gap is large enough to take a fraction of.

    Args:
        gap: m(M) − m(∅) per prompt, shape (prompt,), in the metric's unit.
        min_gap: see `Metric.min_gap`.

    Raises:
        NotMeasured: its mean is below `min_gap`.
    """
    if not gap.mean() >= min_gap:
        raise NotMeasured(
            "control_failed",
            f"ablating the whole universe changes the metric by {gap.mean():.2f}, {min_gap} needed: "
            "under this ablation there is no gap to take a fraction of.",
        )


def needs_means(replacements: Sequence[Replacement]) -> bool:
    return bool({Replacement.MEAN, Replacement.MEAN_TEMPLATE} & set(replacements))


def describe_tuple(claim: Claim, direction: str = "noising") -> tuple[tuple[str, str], ...]:
    """The six conditions that a faithfulness number depends on (Miller et al. 2024)."""
    kinds = sorted({component.kind.value for component in claim.components})
    return (
        ("granularity", "nodes"),
        ("component type", " and ".join(kinds)),
        ("ablation", claim.ablation.value),
        ("positions", "all"),
        ("direction", direction),
        ("set", "circuit ablated" if claim.role is Role.NECESSARY else f"all other {claim.universe} ablated"),
    )
