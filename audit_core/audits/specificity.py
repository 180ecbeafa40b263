"""Whether a circuit is the task's own: what other tasks, and unrelated text, lose without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from audit_core.circuits.circuit_question import (
    CircuitQuestion,
    CircuitRunner,
    Parts,
    check_circuit,
    count_run_work,
    identify_prompts,
)
from audit_core.circuits.circuit_search import share_progress
from audit_core.component import Component
from audit_core.effect import Controls, join_controls
from audit_core.errors import NotMeasured
from audit_core.evidence.kind import Causal
from audit_core.intervention import intervene
from audit_core.judging.faithfulness import UNIT, list_universe
from audit_core.judging.null import draw_sets
from audit_core.judging.shift import measure_divergence
from audit_core.prompts.measurable import keep_measurable
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.stats.groups import Ratio, contrast_ratios
from audit_core.stats.measurement import Conditions, Measurement
from audit_core.subject import Means, Progress, Subject, no_partial

DELTA = 0.10
"""Smallest difference of interest between two tasks' losses, fraction of each task's own gap (methods 1.3, 2.24)."""
RANDOM_SETS = 19
"""Beside the circuit on unrelated text; then the share that does as much cannot go below 0.05."""


@dataclass(frozen=True)
class OtherTask:
    """A task that the circuit is not claimed for."""

    prompts: TokenisedPrompts
    components: tuple[Component, ...] = ()
    """That task's own circuit, for the second half of a double dissociation; may be empty."""


@dataclass(frozen=True)
class SpecificityRequest(CircuitQuestion):
    """Which circuit, of the task of `prompts`, and which other tasks."""

    others: tuple[OtherTask, ...] = ()

    def describe(self) -> dict[str, Any]:
        others = [[identify_prompts(other.prompts), [str(c) for c in other.components]] for other in self.others]
        return super().describe() | {"others": others, "random_sets": RANDOM_SETS}


@dataclass(frozen=True)
class TaskLoss:
    """The circuit on another task."""

    task: str
    lost: Causal[Measurement]
    """What the other task loses without the circuit; fraction of that task's own gap."""
    difference: Causal[Measurement]
    """Loss of the circuit's own task minus this."""
    counterpart: Causal[Measurement | None]
    """The same difference for the other task's circuit; None without one."""
    is_apart: bool | None
    """Whether the two tasks are told apart as far as was asked; None where that is not resolved."""
    finding: str


@dataclass(frozen=True)
class SpecificityResult:
    """What a circuit does beside its own task."""

    own: Causal[Measurement]
    tasks: tuple[TaskLoss, ...]
    untested: dict[str, str]
    """Why, per other task that the model does not do."""
    divergence: Causal[Measurement | None]
    """KL(whole ‖ without the circuit) of the next token on unrelated text; None where it could not be measured."""
    random_divergences: Causal[tuple[float, ...]]
    """The same of each random set of the circuit's shape; in nats."""
    random_as_large: int
    text_not_measured: str
    """Why there is no divergence; empty where there is."""
    controls: Controls


@dataclass(frozen=True)
class SpecificityAudit:
    name: str = "specificity"
    question: str = "Is it this task's circuit, or needed by others too?"
    result: type = SpecificityResult
    version: int = 8
    counts_as: tuple[str, ...] = ("test_of_the_test",)
    shows_results: bool = True

    def count_work(self, subject: Subject, request: SpecificityRequest) -> int:
        return sum(_count_each_work(subject, request))

    def run(
        self,
        subject: Subject,
        request: SpecificityRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> SpecificityResult:
        universe = list_universe(subject, request.universe)
        for other in request.others:
            if other.components:
                check_circuit(other.components, universe, request.universe)
        prices, total = _count_each_work(subject, request), self.count_work(subject, request)
        stages = [share_progress(on_progress, total, sum(prices[:at]), price) for at, price in enumerate(prices)]
        own = CircuitRunner(subject, request, runs=2 + len(request.others), means=means, on_progress=stages[0])
        own.run([own.circuit, *(frozenset(other.components) for other in request.others)])
        losses, untested, controls = [], {}, [own.controls]
        for asked, other, stage in zip(_ask_each(request)[1:], request.others, stages[1:], strict=True):
            known = None if means is None else subject.capture_means(asked.prompts, kinds=request.kinds)
            try:
                there = CircuitRunner(subject, asked, runs=3, means=known, on_progress=stage)
                there.run([there.circuit, frozenset(other.components)])
                losses.append(_compare(own, there, frozenset(other.components), n_tasks=len(request.others)))
                controls.append(there.controls)
            except NotMeasured as error:
                untested[asked.prompts.name] = error.detail
        divergence, drawn, why = _measure_text(subject, request)
        on_progress(total, total)
        return SpecificityResult(
            own.estimate(own.lost(own.circuit), request.taken_away),
            tuple(losses),
            untested,
            divergence,
            drawn,
            0 if divergence is None else sum(value >= divergence.estimate.value for value in drawn),
            why,
            join_controls(controls),
        )


def _count_each_work(subject: Subject, request: SpecificityRequest) -> list[int]:
    """Units of work of the circuit's own task, then of each other; the text is as dear as a few runs of the first."""
    first, *rest = _ask_each(request)
    text = 1 + RANDOM_SETS // 4
    return [
        count_run_work(subject, first, 2 + len(request.others) + text),
        *(count_run_work(subject, asked, 3) for asked in rest),
    ]


def _ask_each(request: SpecificityRequest) -> tuple[CircuitQuestion, ...]:
    """The circuit's own task, and every other with the same circuit."""
    others = [keep_measurable(other.prompts, other.prompts, request.replacements) for other in request.others]
    return (
        request,
        *(replace(request, prompts=kept, reference=kept) for kept in others),
    )


def _compare(own: CircuitRunner, there: CircuitRunner, counter: Parts, *, n_tasks: int) -> TaskLoss:
    question, name = own.question, there.question.prompts.name
    # Several tasks are compared, and the reader looks for one that differs: each difference at the level that allows for all.
    level = 1 - (1 - LEVEL) / n_tasks
    difference = Measurement(
        _contrast(own, there, own.circuit, level),
        question.state_conditions(f"circuit taken away, {question.prompts.name} against {name}"),
    )
    lost_here = own.estimate(own.lost(own.circuit), question.taken_away)
    lost = there.estimate(there.lost(there.circuit), there.question.taken_away)
    counterpart, costs_its_own = None, False
    if counter:
        theirs = replace(there.question, components=tuple(sorted(counter)))
        words = f"{name}'s own circuit taken away, {name} against {question.prompts.name}"
        counterpart = Measurement(_contrast(there, own, counter, level), theirs.state_conditions(words))
        costs_its_own = _is_above(there.estimate(there.lost(counter), theirs.taken_away))
    return TaskLoss(
        name,
        lost,
        difference,
        counterpart,
        *_find_dissociation(name, lost_here, lost, difference, counterpart, costs_its_own),
    )


def _contrast(first: CircuitRunner, second: CircuitRunner, out: Parts, level: float) -> Estimate:
    ratios = (Ratio(runner.lost(out), runner.scale, runner.clusters) for runner in (first, second))
    return contrast_ratios(*ratios, unit=f"{UNIT}, difference", seed=first.question.seed, level=level)


def _find_dissociation(
    name: str,
    lost_here: Measurement,
    lost: Measurement,
    difference: Measurement,
    counterpart: Measurement | None,
    costs_its_own: bool,
) -> tuple[bool | None, str]:
    if lost.is_beyond(DELTA) and difference.is_within(DELTA):
        return False, f"Shared with {name}: without the circuit it changes by as much, to within {DELTA:g}."
    if not (_is_above(difference) and _is_above(lost_here)):
        return None, f"Not told apart from {name} by {DELTA:g} of the gap."
    if counterpart is None:
        return True, f"Its own task loses more than {name}: one half of a dissociation."
    if _is_above(counterpart) and costs_its_own:
        return True, f"Double dissociation from {name}: each circuit costs its own task more."
    return None, f"Its own task loses more than {name}, but {name}'s circuit was not shown to cost {name} more."


def _is_above(found: Measurement) -> bool:
    return found.estimate.low is not None and found.estimate.low > DELTA


def _measure_text(subject: Subject, request: SpecificityRequest) -> tuple[Measurement | None, tuple[float, ...], str]:
    """Unrelated text without the circuit, and without random sets of its shape."""
    sets, _ = draw_sets(
        request.components, list_universe(subject, request.universe), seed=request.seed, draws=RANDOM_SETS
    )
    asked = {"circuit": intervene(request.components, request.replacement)}
    asked |= {f"random {at}": intervene(parts, request.replacement) for at, parts in enumerate(sets)}
    try:
        found = measure_divergence(subject, asked, seed=request.seed)
    except NotMeasured as error:
        return None, (), error.detail
    first, *rest = found.values()
    conditions: Conditions = request.state_conditions("circuit taken away, on unrelated text")
    return Measurement(first, conditions), tuple(estimate.value for estimate in rest), ""


PLUGIN = SpecificityAudit()
