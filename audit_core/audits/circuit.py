"""What survives when a circuit is broken on purpose: completeness, minimality, and its worst template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit_core.claim import Claim, Role, Universe
from audit_core.completeness import (
    COMPLETE,
    GAP_UNIT,
    MINIMAL,
    CircuitRunner,
    Gap,
    Worth,
    find_worst_template,
    propose_subsets,
    read_gaps,
    read_worths,
    search_greedily,
)
from audit_core.component import Component, Kind
from audit_core.effect import Controls, check_task, join_controls, measure_effect
from audit_core.errors import ClaimRefused
from audit_core.faithfulness import check_empty_gap, describe_tuple, list_kinds, list_universe
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.prompts import TokenisedPrompts
from audit_core.run import get_metric
from audit_core.statistics import MIN_PROMPTS, MIN_TEMPLATES, Estimate, bootstrap_ratio, format_estimate
from audit_core.subject import Means, Progress, Subject, no_partial

RANDOM_SUBSETS = 16


@dataclass(frozen=True)
class CircuitRequest:
    """Which circuit is put to its tests, and on which prompts."""

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    components: tuple[Component, ...]
    universe: Universe = Universe.HEADS
    replacement: Replacement = Replacement.RESAMPLE
    metric: str = "logit_difference"
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return (self.replacement,)

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(list_kinds(self.universe))

    def describe(self) -> dict[str, Any]:
        return {
            "components": [str(c) for c in self.components],
            "universe": self.universe.value,
            "replacement": self.replacement.value,
            "metric": self.metric,
        }


@dataclass(frozen=True)
class CircuitResult:
    """What was found about one circuit under one ablation; the verdict on a claim is `claim_test`'s, not this one's."""

    conditions: tuple[tuple[str, str], ...]
    necessity: Estimate
    sufficiency: Estimate
    gaps: tuple[Gap, ...]
    """Of every subset tried, the widest first: the search log."""
    completeness: str
    """In words, and only of the subsets tried."""
    worths: tuple[Worth, ...]
    """Per component, in the circuit's order."""
    idle: tuple[str, ...]
    """Components whose whole interval lies within ± `MINIMAL` beside every subset tried."""
    worst_template: str
    worst_sufficiency: float
    """Of that template's prompts alone; without an interval, since they are one cluster."""
    worst_n: int
    controls: Controls


@dataclass(frozen=True)
class CircuitAudit:
    name: str = "circuit"
    question: str = "What survives when the circuit is broken on purpose?"
    result: type = CircuitResult

    def count_work(self, subject: Subject, request: CircuitRequest) -> int:
        whole = intervene(list_universe(subject, request.universe), request.replacement)
        return subject.count_work(request.prompts, (whole,)) * _count_runs(request.components)

    def run(
        self,
        subject: Subject,
        request: CircuitRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> CircuitResult:
        universe = list_universe(subject, request.universe)
        _check_components(request, universe)
        metric, clusters, seed = get_metric(request.metric), request.prompts.templates, request.seed
        expected, whole, done = _count_runs(request.components), self.count_work(subject, request), 0
        found: list[Controls] = []

        def measure(asked: Sequence[Intervention]) -> NDArray[np.float64]:
            nonlocal done

            def report(step: int, total: int) -> None:
                # How far the greedy search goes is not known beforehand: it may end early, and never runs over.
                on_progress(min(whole - 1, whole * (done * total + len(asked) * step) // (expected * total)), whole)

            effect = measure_effect(subject, request.prompts, asked, metric, means=means, seed=seed, on_progress=report)
            check_task(effect)
            done += len(asked)
            found.append(effect.controls)
            return effect.patched

        clean = measure_effect(subject, request.prompts, (), metric, seed=seed).clean
        runner = CircuitRunner(request.components, universe, request.replacement, measure, clean)
        circuit = frozenset(request.components)
        runner.run([frozenset(universe), circuit, runner.all_but(circuit)])
        check_empty_gap(runner.scale, metric.min_gap)
        subsets = propose_subsets(request.components, draws=RANDOM_SUBSETS, seed=seed)
        runner.run(out for subset in subsets for out in runner.list_gap_sets(subset.parts))
        gaps = read_gaps(runner, [*subsets, *search_greedily(runner)], clusters, seed=seed)
        worths = read_worths(runner, [s for s in subsets if s.how != "layer"], clusters, seed=seed)
        kept = runner.without(runner.all_but(circuit)) - runner.without(frozenset(universe))
        worst, value, n, _ = find_worst_template(kept, runner.scale, clusters)
        on_progress(whole, whole)

        def estimate(values: NDArray[np.float64]) -> Estimate:
            return bootstrap_ratio(values, runner.scale, clusters, unit=GAP_UNIT, seed=seed)

        return CircuitResult(
            describe_tuple(_as_claim(request)),
            estimate(clean - runner.without(circuit)),
            estimate(kept),
            gaps,
            _describe_completeness(gaps, len(set(clusters))),
            worths,
            tuple(worth.component for worth in worths if _is_within(worth.estimate, MINIMAL)),
            worst,
            value,
            n,
            join_controls(found),
        )


def _as_claim(request: CircuitRequest) -> Claim:
    return Claim("circuit", request.components, request.universe, Role.SUFFICIENT, request.metric, request.replacement)


def _check_components(request: CircuitRequest, universe: Sequence[Component]) -> None:
    strangers = sorted(map(str, set(request.components) - set(universe)))
    if strangers or not request.components:
        raise ClaimRefused(
            f"A circuit of {', '.join(strangers[:5]) or 'nothing'}.",
            wanted=f"whole {request.universe} of this model.",
            remedy="name heads or MLPs, without positions.",
        )


def _count_runs(components: Sequence[Component]) -> int:
    """Runs at most: gaps of singles, layers and random subsets; the greedy search; and each component's worth."""
    size = len(components)
    pairs = size * (size + 1)
    return 3 + 2 * (2 * size + RANDOM_SUBSETS) + pairs + pairs // 2 + size * RANDOM_SUBSETS


def _is_within(estimate: Estimate, bound: float) -> bool:
    return estimate.low is not None and estimate.high is not None and -bound < estimate.low and estimate.high < bound


def _describe_completeness(gaps: Sequence[Gap], n_templates: int) -> str:
    worst, n = gaps[0], gaps[0].estimate.n
    of = f"the {len(gaps)} subsets tried"
    if n < MIN_PROMPTS or n_templates < MIN_TEMPLATES:
        return f"Shown on {n} prompts, which cannot carry a finding about {of}."
    wide = [gap for gap in gaps if not _is_within(gap.estimate, COMPLETE)]
    if not wide:
        return f"No gap above {COMPLETE:g} was found over {of}. Subsets that were not tried may show one."
    sure = sum(
        gap.estimate.low is not None
        and gap.estimate.high is not None
        and (gap.estimate.low > COMPLETE or gap.estimate.high < -COMPLETE)
        for gap in wide
    )
    return (
        f"Of {of}, {sure} show a gap above {COMPLETE:g} over the whole interval and {len(wide) - sure} reach it. Widest without "
        f"{', '.join(worst.subset)}: {format_estimate(worst.estimate)}."
    )


PLUGIN = CircuitAudit()
