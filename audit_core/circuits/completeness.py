"""Completeness and minimality of a circuit: missing and redundant components, over the tested subsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.circuits.circuit_question import CircuitRunner, Parts
from audit_core.component import Component
from audit_core.judging.faithfulness import UNIT
from audit_core.stats.bootstrap import bootstrap_ratios
from audit_core.stats.measurement import Measurement

COMPLETE = 0.10
"""No gap is found if |G| stays below this over the whole interval of every tested subset (methods 2.1)."""
MINIMAL = 0.01
"""A component is redundant if its effect on the circuit is smaller for every tested subset (Wang et al. used 1 %)."""


@dataclass(frozen=True)
class Subset:
    """Components K ablated in both the circuit and the model."""

    parts: Parts
    how: str
    """How it was chosen: single, layer, random or greedy."""


@dataclass(frozen=True)
class Gap:
    """Completeness gap: the circuit without a subset against the model without it."""

    subset: tuple[str, ...]
    how: str
    found: Measurement
    """G(K) = (m(C∖K) − m(M∖K)) / (m(M) − m(∅)), signed: negative if the model has a backup."""


@dataclass(frozen=True)
class MinimalityScore:
    """Minimality score of one component: its largest effect on the circuit."""

    component: str
    found: Measurement
    """(m(C∖K) − m(C∖(K∪v))) / (m(M) − m(∅)) for the tested K with the largest magnitude."""
    beside: tuple[str, ...]
    """That K; empty for the whole circuit."""
    is_idle: bool
    """Whether the whole interval lies within ± `MINIMAL` for every tested K."""


def list_gap_sets(runner: CircuitRunner, subset: Parts) -> tuple[Parts, Parts]:
    """The two ablated sets of one gap: all but the circuit without the subset, and the subset."""
    return runner.all_but(runner.circuit - subset), subset


def _find_gap(runner: CircuitRunner, subset: Parts) -> NDArray[np.float64]:
    """m(C∖K) − m(M∖K), shape (prompt,); both already measured."""
    alone, model = list_gap_sets(runner, subset)
    return runner.without(alone) - runner.without(model)


def propose_subsets(components: Sequence[Component], *, draws: int, seed: int) -> tuple[Subset, ...]:
    """Distinct subsets to test: single components, all components of a layer, and random subsets."""
    found = [Subset(frozenset([part]), "single") for part in components]
    for layer in sorted({part.layer for part in components}):
        found.append(Subset(frozenset(part for part in components if part.layer == layer), "layer"))
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        chosen = rng.random(len(components)) < 0.5
        found.append(Subset(frozenset(p for p, is_in in zip(components, chosen) if is_in), "random"))
    first: dict[Parts, Subset] = {}
    for subset in found:
        if subset.parts:
            first.setdefault(subset.parts, subset)
    return tuple(first.values())


def search_greedily(runner: CircuitRunner) -> tuple[Subset, ...]:
    """Greedy search: starting from the empty subset, add the component that widens the gap most; returns all tested subsets.

    Source: Wang et al. 2022, arXiv:2211.00593, appendix on greedy completeness.
    """
    tried: list[Subset] = []
    current: Parts = frozenset()
    while current != runner.circuit:
        larger = [current | {part} for part in runner.question.components if part not in current]
        runner.run(out for subset in larger for out in list_gap_sets(runner, subset))
        sizes = [abs(float(_find_gap(runner, subset).mean())) for subset in larger]
        tried += [Subset(subset, "greedy") for subset in larger]
        best = larger[int(np.argmax(sizes))]
        if current and max(sizes) <= abs(float(_find_gap(runner, current).mean())):
            break
        current = best
    return tuple(tried)


def read_gaps(runner: CircuitRunner, subsets: Sequence[Subset]) -> tuple[Gap, ...]:
    """Gaps of all subsets, widest first.

    Raises:
        NotMeasured: the sign of the clean – empty gap differs between templates.
    """
    first = {subset.parts: subset for subset in reversed(subsets)}
    rows = np.stack([_find_gap(runner, parts) for parts in first])
    estimates = bootstrap_ratios(rows, runner.scale, runner.clusters, unit=UNIT, seed=runner.question.seed)
    conditions = runner.question.state_conditions("a subset ablated in the circuit alone, and in the whole model")
    gaps = [
        Gap(name_parts(subset.parts), subset.how, Measurement(estimate, conditions))
        for subset, estimate in zip(first.values(), estimates, strict=True)
    ]
    return tuple(sorted(gaps, key=lambda gap: -abs(gap.found.estimate.value)))


def score_minimality(runner: CircuitRunner, subsets: Sequence[Subset]) -> tuple[MinimalityScore, ...]:
    """Minimality score of each component over the tested subsets, in the order of the circuit."""
    circuit, found = runner.circuit, []
    conditions = runner.question.state_conditions("one component ablated in the circuit alone, with a subset")
    beside = [frozenset[Component](), *(subset.parts for subset in subsets)]
    for part in runner.question.components:
        others = list(dict.fromkeys(out - {part} for out in beside))
        runner.run(
            runner.all_but(circuit - out - removed) for out in others for removed in (frozenset(), frozenset([part]))
        )
        rows = np.stack([runner.alone(circuit - out) - runner.alone(circuit - out - {part}) for out in others])
        estimates = bootstrap_ratios(rows, runner.scale, runner.clusters, unit=UNIT, seed=runner.question.seed)
        measured = [Measurement(estimate, conditions) for estimate in estimates]
        best = int(np.argmax(np.abs(rows.mean(1))))
        is_idle = all(one.is_within(MINIMAL) for one in measured)
        found.append(MinimalityScore(str(part), measured[best], name_parts(others[best]), is_idle))
    return tuple(found)


def name_parts(parts: Parts) -> tuple[str, ...]:
    """Names of components, sorted by layer."""
    return tuple(map(str, sorted(parts, key=lambda part: (part.layer, str(part)))))
