"""Completeness and minimality of a circuit: what it lacks, and what in it is idle, over the subsets that were tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.component import Component
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.statistics import Estimate, bootstrap_ratios

GAP_UNIT = "fraction of the clean–empty gap"
COMPLETE = 0.10
"""|G| up to here, over its whole interval and every subset tried, is no gap found (methods 2.1)."""
MINIMAL = 0.01
"""A component that moves the circuit by less, whatever else is taken out, is idle in it (Wang et al. used 1 %)."""

Parts = frozenset[Component]
Measure = Callable[[Sequence[Intervention]], NDArray[np.float64]]


@dataclass(frozen=True)
class Subset:
    """Components taken out of both the circuit and the model."""

    parts: Parts
    how: str
    """How it was chosen: single, layer, random or greedy."""


@dataclass(frozen=True)
class Gap:
    """How far the circuit without a subset is from the model without it."""

    subset: tuple[str, ...]
    how: str
    estimate: Estimate
    """G(K) = (m(C∖K) − m(M∖K)) / (m(M) − m(∅)), with its sign: negative where the model has something to fall back on."""


@dataclass(frozen=True)
class Worth:
    """What one component is worth to the circuit."""

    component: str
    estimate: Estimate
    """(m(C∖K) − m(C∖(K∪v))) / (m(M) − m(∅)) for the K tried at which it is largest in size."""
    beside: tuple[str, ...]
    """That K; empty for the circuit as it is."""


class CircuitRunner:
    """The runs that the two questions share, each measured once.

    Args:
        measure: interventions → metric, shape (intervention, prompt).
    """

    def __init__(
        self,
        components: Sequence[Component],
        universe: Sequence[Component],
        replacement: Replacement,
        measure: Measure,
        clean: NDArray[np.float64],
    ) -> None:
        self.components, self.universe, self.replacement = tuple(components), tuple(universe), replacement
        self._measure, self._clean = measure, clean
        self._known: dict[Parts, NDArray[np.float64]] = {frozenset(): clean}

    def run(self, sets: Iterable[Parts]) -> None:
        """Measure the model without each of these sets, where that is not yet known."""
        new = [out for out in dict.fromkeys(sets) if out not in self._known]
        if new:
            asked = [self._take_away(out) for out in new]
            self._known |= dict(zip(new, self._measure(asked), strict=True))

    def without(self, out: Parts) -> NDArray[np.float64]:
        """The model without these components; shape (prompt,)."""
        return self._known[out]

    def all_but(self, kept: Parts) -> Parts:
        """What is taken away when only these are kept."""
        return frozenset(self.universe) - kept

    def list_gap_sets(self, subset: Parts) -> tuple[Parts, Parts]:
        """What is taken away for one gap: all but the circuit without the subset; and the subset alone."""
        return self.all_but(frozenset(self.components) - subset), subset

    def find_gap(self, subset: Parts) -> NDArray[np.float64]:
        """m(C∖K) − m(M∖K), shape (prompt,); both measured before."""
        alone, model = self.list_gap_sets(subset)
        return self.without(alone) - self.without(model)

    @property
    def scale(self) -> NDArray[np.float64]:
        """m(M) − m(∅), shape (prompt,); the empty circuit measured before."""
        return self._clean - self.without(frozenset(self.universe))

    def _take_away(self, out: Parts) -> Intervention:
        return intervene([part for part in self.universe if part in out], self.replacement)


def propose_subsets(components: Sequence[Component], *, draws: int, seed: int) -> tuple[Subset, ...]:
    """Every single component, every layer's components together, and random subsets; no subset twice."""
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
    """From the empty subset on, add whichever component widens the gap most; every subset on the way counts as tried.

    Source: Wang et al. 2022, arXiv:2211.00593, appendix on greedy completeness.
    """
    tried: list[Subset] = []
    current: Parts = frozenset()
    while len(current) < len(runner.components):
        larger = [current | {part} for part in runner.components if part not in current]
        runner.run(out for subset in larger for out in runner.list_gap_sets(subset))
        sizes = [abs(float(runner.find_gap(subset).mean())) for subset in larger]
        tried += [Subset(subset, "greedy") for subset in larger]
        best = larger[int(np.argmax(sizes))]
        if current and max(sizes) <= abs(float(runner.find_gap(current).mean())):
            break
        current = best
    return tuple(tried)


def read_gaps(
    runner: CircuitRunner, subsets: Sequence[Subset], clusters: Sequence[str], *, seed: int
) -> tuple[Gap, ...]:
    """Every subset's gap, the widest first.

    Raises:
        NotMeasured: the clean – empty gap changes its sign from template to template.
    """
    first = {subset.parts: subset for subset in reversed(subsets)}
    rows = np.stack([runner.find_gap(parts) for parts in first])
    estimates = bootstrap_ratios(rows, runner.scale, clusters, unit=GAP_UNIT, seed=seed)
    gaps = [
        Gap(_name(subset.parts), subset.how, estimate)
        for subset, estimate in zip(first.values(), estimates, strict=True)
    ]
    return tuple(sorted(gaps, key=lambda gap: -abs(gap.estimate.value)))


def read_worths(
    runner: CircuitRunner, subsets: Sequence[Subset], clusters: Sequence[str], *, seed: int
) -> tuple[Worth, ...]:
    """What each component is worth at its best, over the subsets tried, in the circuit's order."""
    circuit, found = frozenset(runner.components), []
    beside = [frozenset[Component](), *(subset.parts for subset in subsets)]
    for part in runner.components:
        others = list(dict.fromkeys(out - {part} for out in beside))
        runner.run(runner.all_but(circuit - out - gone) for out in others for gone in (frozenset(), frozenset([part])))
        rows = np.stack([_lost(runner, circuit, out, part) for out in others])
        best = int(np.argmax(np.abs(rows.mean(1))))
        (estimate,) = bootstrap_ratios(rows[best][None], runner.scale, clusters, unit=GAP_UNIT, seed=seed)
        found.append(Worth(str(part), estimate, _name(others[best])))
    return tuple(found)


def _lost(runner: CircuitRunner, circuit: Parts, out: Parts, part: Component) -> NDArray[np.float64]:
    return runner.without(runner.all_but(circuit - out)) - runner.without(runner.all_but(circuit - out - {part}))


def _name(parts: Parts) -> tuple[str, ...]:
    return tuple(map(str, sorted(parts, key=lambda part: (part.layer, str(part)))))


def find_worst_template(
    numerator: NDArray, denominator: NDArray, clusters: Sequence[str]
) -> tuple[str, float, int, Mapping[str, float]]:
    """The template on which a ratio of means is lowest, its value, its prompts, and the ratio on every template."""
    names = np.asarray(clusters)
    ratios = {
        str(name): float(numerator[names == name].mean() / denominator[names == name].mean())
        for name in np.unique(names)
    }
    worst = min(ratios, key=lambda name: ratios[name])
    return worst, ratios[worst], int((names == worst).sum()), ratios
