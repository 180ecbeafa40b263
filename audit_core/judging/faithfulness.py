"""Necessity and sufficiency of a circuit, from effects: fractions of the clean – empty-circuit gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.claim import Claim, Role, Universe
from audit_core.component import Component, Kind
from audit_core.effect import Effect
from audit_core.errors import NotMeasured
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.stats.bootstrap import bootstrap_ratio
from audit_core.stats.estimates import Estimate
from audit_core.subject import Subject

UNIT = "fraction of the clean–empty gap"
"""Gap between the whole model and the empty circuit, both on the clean prompts: the scale of verdicts."""
PAIR_UNIT = "fraction of the clean–corrupted gap"
"""Gap between the two prompts of the pair: the scale of single components on the map."""
OVERSHOOT = 1.2
"""Above this a circuit restores more than the whole model does: a negative part was left out (methods 1.6)."""


@dataclass(frozen=True)
class CircuitRuns:
    """The three interventions that place a circuit on its scale, all by one replacement."""

    without: Intervention
    """The circuit taken away."""
    alone: Intervention
    """Everything else in the universe taken away."""
    empty: Intervention
    """The whole universe taken away: the empty circuit."""

    def as_tuple(self) -> tuple[Intervention, Intervention, Intervention]:
        return self.without, self.alone, self.empty


def list_universe(subject: Subject, universe: Universe) -> tuple[Component, ...]:
    """All components that "everything else" can mean."""
    return tuple(component for kind in list_kinds(universe) for component in subject.components(kind))


def list_kinds(universe: Universe) -> tuple[Kind, ...]:
    """Kinds of components that a universe holds."""
    return (Kind.HEAD,) if universe is Universe.HEADS else (Kind.HEAD, Kind.MLP)


def plan_circuit(
    subject: Subject, components: Sequence[Component], universe: Universe, replacement: Replacement
) -> CircuitRuns:
    """Which interventions a circuit is judged by."""
    everything, inside = list_universe(subject, universe), set(components)
    return CircuitRuns(
        intervene(components, replacement),
        intervene([c for c in everything if c not in inside], replacement),
        intervene(everything, replacement),
    )


@dataclass(frozen=True, eq=False)
class CircuitEffect:
    """A circuit's runs read by one metric; each shape (prompt,), in the metric's unit."""

    clean: NDArray[np.float64]
    without: NDArray[np.float64]
    alone: NDArray[np.float64]
    empty: NDArray[np.float64]
    clusters: tuple[str, ...]
    min_gap: float
    """See `Metric.min_gap`."""

    def take(self, prompts: Sequence[int]) -> CircuitEffect:
        """The same on some of the prompts."""
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
    """Pick a circuit's three runs out of a measured effect."""
    at = {intervention: i for i, intervention in enumerate(effect.interventions)}
    without, alone, empty = (effect.patched[at[run]] for run in runs.as_tuple())
    return CircuitEffect(effect.clean, without, alone, empty, effect.prompts.templates, effect.min_gap)


def estimate_faithfulness(circuit: CircuitEffect, role: Role, *, seed: int, level: float) -> Estimate:
    """Share of the clean – empty-circuit gap that a circuit carries, as a ratio of means.

    necessary:  N = (m(M) − m(M∖C)) / (m(M) − m(∅))
    sufficient: S = (m(C) − m(∅)) / (m(M) − m(∅))

    Args:
        circuit: metric per prompt of four runs, each shape (prompt,).
        seed: of the bootstrap over templates.
        level: confidence level of the interval.

    Returns:
        Estimate; unit `UNIT`; may exceed 1 or be negative; nothing is clipped.

    Raises:
        NotMeasured: the whole model and the empty circuit do not differ by `min_gap`.

    Source: Wang et al. 2022, arXiv:2211.00593, section 4; Miller et al. 2024, arXiv:2407.08734.
    """
    numerator, denominator = circuit.necessity if role is Role.NECESSARY else circuit.sufficiency
    check_empty_gap(denominator, circuit.min_gap)
    return bootstrap_ratio(numerator, denominator, circuit.clusters, unit=UNIT, seed=seed, level=level)


def check_empty_gap(gap: NDArray[np.float64], min_gap: float) -> None:
    """Refuse a fraction of a clean – empty gap that hardly is one.

    Args:
        gap: m(M) − m(∅) per prompt, shape (prompt,), in the metric's unit.
        min_gap: see `Metric.min_gap`.

    Raises:
        NotMeasured: its mean is below `min_gap`.
    """
    if not gap.mean() >= min_gap:
        raise NotMeasured(
            "control_failed",
            f"taking the whole universe away changes the metric by {gap.mean():.2f}, {min_gap} needed: "
            "there is no gap to take a fraction of under this ablation.",
        )


def needs_means(replacements: Sequence[Replacement]) -> bool:
    return bool({Replacement.MEAN, Replacement.MEAN_TEMPLATE} & set(replacements))


def describe_tuple(claim: Claim, direction: str = "noising") -> tuple[tuple[str, str], ...]:
    """The six choices without which a faithfulness number says nothing (Miller et al. 2024)."""
    kinds = sorted({component.kind.value for component in claim.components})
    return (
        ("granularity", "nodes"),
        ("component type", " and ".join(kinds)),
        ("ablation", claim.ablation.value),
        ("positions", "all"),
        ("direction", direction),
        ("set", "circuit taken away" if claim.role is Role.NECESSARY else f"all other {claim.universe} taken away"),
    )
