"""What survives when a circuit is broken on purpose: completeness, minimality, and its worst template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from audit_core.circuits.circuit_question import CircuitQuestion, CircuitRunner, count_run_work
from audit_core.circuits.completeness import (
    COMPLETE,
    Gap,
    MinimalityScore,
    list_gap_sets,
    propose_subsets,
    read_gaps,
    read_worths,
    search_greedily,
)
from audit_core.component import Component
from audit_core.effect import Controls
from audit_core.evidence.kind import Causal
from audit_core.judging.faithfulness import UNIT
from audit_core.stats.estimates import MIN_PROMPTS, MIN_TEMPLATES, format_estimate
from audit_core.stats.groups import GroupEstimates, estimate_groups
from audit_core.stats.measurement import Conditions, Measurement
from audit_core.subject import Means, Progress, Subject, no_partial

RANDOM_SUBSETS = 16


@dataclass(frozen=True)
class CircuitRequest(CircuitQuestion):
    """Which circuit is put to its tests, and on which prompts."""

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"random_subsets": RANDOM_SUBSETS}


@dataclass(frozen=True)
class CircuitResult:
    """What was found about one circuit under one ablation; the verdict on a claim is `claim_test`'s, not this one's."""

    necessity: Causal[Measurement]
    sufficiency: Causal[Measurement]
    gaps: Causal[tuple[Gap, ...]]
    """Of every subset tried, the widest first: the search log."""
    completeness: str
    """In words, and only of the subsets tried."""
    is_decidable: bool
    """Whether there are prompts and templates enough for a finding."""
    worths: Causal[tuple[MinimalityScore, ...]]
    """Per component, in the circuit's order."""
    idle: tuple[str, ...]
    """Components whose whole interval lies within ± `MINIMAL` beside every subset tried."""
    by_template: Causal[GroupEstimates]
    """What the circuit alone keeps on each template's prompts."""
    by_template_conditions: Conditions
    controls: Controls


@dataclass(frozen=True)
class CircuitAudit:
    name: str = "circuit"
    question: str = "What survives when the circuit is broken on purpose?"
    result: type = CircuitResult
    version: int = 8
    counts_as: tuple[str, ...] = ("test_of_the_test",)
    shows_results: bool = True

    def count_work(self, subject: Subject, request: CircuitRequest) -> int:
        return count_run_work(subject, request, _count_runs(request.components))

    def run(
        self,
        subject: Subject,
        request: CircuitRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> CircuitResult:
        runner = CircuitRunner(
            subject, request, runs=_count_runs(request.components), means=means, on_progress=on_progress
        )
        circuit = runner.circuit
        runner.run([circuit, runner.all_but(circuit)])
        subsets = propose_subsets(request.components, draws=RANDOM_SUBSETS, seed=request.seed)
        runner.run(out for subset in subsets for out in list_gap_sets(runner, subset.parts))
        gaps = read_gaps(runner, [*subsets, *search_greedily(runner)])
        worths = read_worths(runner, [s for s in subsets if s.how != "layer"])
        runner.finish()
        kept = runner.kept(circuit)
        is_decidable = len(request.prompts) >= MIN_PROMPTS and len(set(runner.clusters)) >= MIN_TEMPLATES
        return CircuitResult(
            runner.estimate(runner.lost(circuit), request.taken_away),
            runner.estimate(kept, request.left_alone),
            gaps,
            _describe_completeness(gaps, is_decidable=is_decidable),
            is_decidable,
            worths,
            tuple(worth.component for worth in worths if worth.is_idle),
            estimate_groups(kept, runner.scale, runner.clusters, unit=UNIT, min_gap=runner.min_gap),
            request.left_alone,
            runner.controls,
        )


def _count_runs(components: Sequence[Component]) -> int:
    """Runs at most: gaps of singles, layers and random subsets; the greedy search; and each component's worth."""
    size = len(components)
    pairs = size * (size + 1)
    return 3 + 2 * (2 * size + RANDOM_SUBSETS) + pairs + pairs // 2 + size * RANDOM_SUBSETS


def _describe_completeness(gaps: Sequence[Gap], *, is_decidable: bool) -> str:
    worst, n = gaps[0], gaps[0].found.estimate.n
    of = f"the {len(gaps)} subsets tried"
    if not is_decidable:
        return f"Shown on {n} prompts, which cannot carry a finding about {of}."
    wide = [gap for gap in gaps if not gap.found.is_within(COMPLETE)]
    if not wide:
        return f"No gap above {COMPLETE:g} was found over {of}. Subsets that were not tried may show one."
    sure = sum(gap.found.is_beyond(COMPLETE) for gap in wide)
    return (
        f"Of {of}, {sure} show a gap above {COMPLETE:g} over the whole interval and {len(wide) - sure} reach it. Widest without "
        f"{', '.join(worst.subset)}: {format_estimate(worst.found.estimate)}. Each interval stands for itself: none allows for how many "
        "subsets were tried, or that the greedy ones were chosen on these prompts."
    )


PLUGIN = CircuitAudit()
