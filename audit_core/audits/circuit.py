"""Robustness of a circuit: completeness, minimality, and its worst template."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from audit_core.audit import Example, Finding, Side, decide_side
from audit_core.capability import HEADS, Capability
from audit_core.circuits.circuit_check import CircuitCheck, WithClaim
from audit_core.circuits.circuit_question import CircuitQuestion, CircuitRunner, count_run_work
from audit_core.circuits.completeness import (
    COMPLETE,
    MINIMAL,
    Gap,
    MinimalityScore,
    list_gap_sets,
    propose_subsets,
    read_gaps,
    score_minimality,
    search_greedily,
)
from audit_core.circuits.sufficiency import SUFFICIENT_HIGH, SUFFICIENT_LOW, is_not_sufficient, is_sufficient
from audit_core.component import Component
from audit_core.controls import Controls
from audit_core.evidence.kind import Causal
from audit_core.judging.faithfulness import UNIT
from audit_core.request import Request
from audit_core.stats.estimates import MIN_PROMPTS, MIN_TEMPLATES, format_estimate
from audit_core.stats.groups import GroupEstimates, estimate_groups
from audit_core.stats.measurement import Conditions, Measurement
from audit_core.subject import Means, Progress, Subject, no_partial

RANDOM_SUBSETS = 16


@dataclass(frozen=True)
class CircuitRequest(CircuitQuestion):
    """Request: the circuit and the prompts."""

    settings: ClassVar[Mapping[str, Any]] = {"random_subsets": RANDOM_SUBSETS}


@dataclass(frozen=True, kw_only=True)
class CircuitResult:
    """Findings about one circuit under one ablation; verdicts on claims come from `claim_test`."""

    necessity: Causal[Measurement]
    sufficiency: Causal[Measurement]
    gaps: Causal[tuple[Gap, ...]]
    """Gaps of all tested subsets, widest first."""
    completeness: str
    """Completeness in a sentence, limited to the tested subsets."""
    is_decidable: bool
    """Whether there are enough prompts and templates for a finding."""
    worths: Causal[tuple[MinimalityScore, ...]]
    """Per component, in the circuit's order."""
    idle: tuple[str, ...]
    """Redundant components: the whole interval lies within ± `MINIMAL` for every tested subset."""
    by_template: Causal[GroupEstimates]
    """Sufficiency of the circuit on each template."""
    by_template_conditions: Conditions
    controls: Controls


_EXAMPLES = (
    Example(
        {"components": "L0.H0 L1.H0 L1.H3"},
        "The three heads are all that acts on the answer.",
        lambda found: abs(found.sufficiency.estimate.value - 1) < 0.01 > abs(found.necessity.estimate.value - 1),
    ),
)


@dataclass(frozen=True)
class CircuitAudit(CircuitCheck):
    name: str = "circuit"
    question: str = "Is the circuit complete, minimal, and valid on every template?"
    request: type[Request] = CircuitRequest
    result: type = CircuitResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    counts_as: tuple[str, ...] = ("test_of_the_test",)
    pace: float = 0.2
    demands: tuple[Capability[Any], ...] = (HEADS,)
    place: int = 20
    has_quick_form: bool = True
    with_claim: WithClaim = WithClaim.USUAL

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
        worths = score_minimality(runner, [s for s in subsets if s.how != "layer"])
        runner.finish()
        kept = runner.kept(circuit)
        is_decidable = len(request.prompts) >= MIN_PROMPTS and len(set(runner.clusters)) >= MIN_TEMPLATES
        return CircuitResult(
            necessity=runner.estimate(runner.lost(circuit), request.necessity_conditions),
            sufficiency=runner.estimate(kept, request.sufficiency_conditions),
            gaps=gaps,
            completeness=_describe_completeness(gaps, is_decidable=is_decidable),
            is_decidable=is_decidable,
            worths=worths,
            idle=tuple(score.component for score in worths if score.is_idle),
            by_template=estimate_groups(kept, runner.scale, runner.clusters, unit=UNIT, min_gap=runner.min_gap),
            by_template_conditions=request.sufficiency_conditions,
            controls=runner.controls,
        )

    def list_findings(self, result: CircuitResult, components: Collection[str]) -> tuple[Finding, ...]:
        found = [_weigh_completeness(result), _weigh_minimality(result), *_weigh_templates(result.by_template)]
        return tuple(found)


def _count_runs(components: Sequence[Component]) -> int:
    """Maximum runs: gaps of singles, layers and random subsets; greedy search; minimality scores."""
    size = len(components)
    pairs = size * (size + 1)
    planned = 3 + 2 * (2 * size + RANDOM_SUBSETS) + pairs + pairs // 2 + size * RANDOM_SUBSETS
    # Every run ablates a subset of the circuit or all but one, and each subset is run once.
    return min(planned, 2 ** (size + 1) - 1)


def _describe_completeness(gaps: Sequence[Gap], *, is_decidable: bool) -> str:
    worst, n = gaps[0], gaps[0].found.estimate.n
    of = f"the {len(gaps)} tested subsets"
    if not is_decidable:
        return f"Shown on {n} prompts, too few for a finding about {of}."
    wide = [gap for gap in gaps if not gap.found.is_within(COMPLETE)]
    if not wide:
        return f"No gap above {COMPLETE:g} was found over {of}. Untested subsets may show one."
    sure = sum(gap.found.is_beyond(COMPLETE) for gap in wide)
    return (
        f"Of {of}, {sure} show a gap above {COMPLETE:g} over the whole interval and the intervals of {len(wide) - sure} include it. Widest "
        f"without {', '.join(worst.subset)}: {format_estimate(worst.found.estimate)}. Intervals are not corrected for the number of "
        "tested subsets, or for the greedy search on these prompts."
    )


def _weigh_completeness(found: CircuitResult) -> Finding:
    wide = [gap for gap in found.gaps if not gap.found.is_within(COMPLETE)]
    is_complete = False if any(gap.found.is_beyond(COMPLETE) for gap in wide) else None if wide else True
    return Finding(decide_side(is_complete if found.is_decidable else None), found.completeness)


def _weigh_minimality(found: CircuitResult) -> Finding:
    is_valid, text = None, "Minimality is unresolved: some components were shown neither to matter nor to be redundant."
    if found.idle:
        is_valid = False
        text = f"Redundant, within ± {MINIMAL:g} for every tested subset: {', '.join(found.idle)}."
    elif all(score.found.is_beyond(MINIMAL) for score in found.worths):
        is_valid = True
        text = f"Each component has a minimality score above {MINIMAL:g}, for the subset with its largest effect."
    return Finding(decide_side(is_valid if found.is_decidable else None), text)


def _weigh_templates(groups: GroupEstimates) -> list[Finding]:
    found = []
    if groups.untested:
        found.append(
            Finding(Side.UNRESOLVED, f"Not tested, as they have no gap: templates {', '.join(groups.untested)}.")
        )
    if groups.worst is None:
        return found
    outside = [name for name, e in zip(groups.names, groups.estimates, strict=True) if is_not_sufficient(e)]
    lowest = f"lowest on {groups.names[groups.worst]}, {format_estimate(groups.estimates[groups.worst])} kept"
    between = f"{SUFFICIENT_LOW:g} and {SUFFICIENT_HIGH:g}"
    if outside:
        text = f"Alone it keeps less or more than {between} of the gap on {', '.join(outside)}; {lowest}."
        return [*found, Finding(Side.AGAINST, text)]
    if all(is_sufficient(estimate) for estimate in groups.estimates):
        text = f"Alone it keeps between {between} of the gap on every template; {lowest}."
        return [*found, Finding(Side.FOR, text)]
    text = f"Unresolved: whether it keeps between {between} of the gap on every template; {lowest}."
    return [*found, Finding(Side.UNRESOLVED, text)]


PLUGIN = CircuitAudit()
