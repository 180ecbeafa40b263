"""Specificity: effect of ablating a circuit on other tasks and on unrelated text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from audit_core.audit import Example, Finding, Side, decide_side
from audit_core.capability import HEADS, MEANS, Capability
from audit_core.circuits.circuit_check import AssessedCircuit, CircuitCheck, OtherTask
from audit_core.circuits.circuit_question import (
    CircuitQuestion,
    CircuitRunner,
    Parts,
    check_circuit,
    count_run_work,
)
from audit_core.circuits.circuit_search import share_progress
from audit_core.controls import Controls, join_controls
from audit_core.errors import NotMeasured
from audit_core.evidence.kind import Causal
from audit_core.intervention import intervene
from audit_core.judging.faithfulness import UNIT, list_universe
from audit_core.judging.null import draw_sets
from audit_core.judging.shift import measure_divergence
from audit_core.prompts.measurable import keep_measurable
from audit_core.request import Request
from audit_core.stats.estimates import LEVEL, Estimate, format_estimate
from audit_core.stats.groups import Ratio, contrast_ratios
from audit_core.stats.measurement import Conditions, Measurement
from audit_core.subject import Means, Progress, Subject, no_partial

DELTA = 0.10
"""Smallest difference of interest between the losses of two tasks, as fractions of each task's gap (methods 1.3, 2.24)."""
RANDOM_SETS = 19
"""Random sets on unrelated text; the p-value cannot go below 0.05."""


@dataclass(frozen=True)
class SpecificityRequest(CircuitQuestion):
    """Request: a circuit of the task of `prompts`, and other tasks."""

    settings: ClassVar[Mapping[str, Any]] = {"random_sets": RANDOM_SETS}

    others: tuple[OtherTask, ...] = ()


@dataclass(frozen=True)
class TaskLoss:
    """The circuit on another task."""

    task: str
    lost: Causal[Measurement]
    """Loss of the other task without the circuit; fraction of that task's gap."""
    difference: Causal[Measurement]
    """Loss of the circuit's own task minus this."""
    counterpart: Causal[Measurement | None]
    """The same difference for the other task's circuit; None without one."""
    is_apart: bool | None
    """Whether the tasks are dissociated, as far as tested; None if unresolved."""
    finding: str


@dataclass(frozen=True, kw_only=True)
class SpecificityResult:
    """Effects of a circuit outside its task."""

    own: Causal[Measurement]
    tasks: tuple[TaskLoss, ...]
    untested: dict[str, str]
    """Reason, per other task that the model does not do."""
    divergence: Causal[Measurement | None]
    """KL(whole ‖ without the circuit) of the next token on unrelated text; None if not measured."""
    random_divergences: Causal[tuple[float, ...]]
    """The same of each random set of the circuit's shape; in nats."""
    random_as_large: int
    text_not_measured: str
    """Why there is no divergence; empty if there is."""
    controls: Controls


_EXAMPLES = (
    Example(
        {"components": "L1.H0"},
        "Ablating L1.H0 costs 20 of 14 logits.",
        lambda found: abs(found.own.estimate.value - 20 / 14) < 0.02,
    ),
)


@dataclass(frozen=True)
class SpecificityAudit(CircuitCheck):
    name: str = "specificity"
    question: str = "Is the circuit specific to its task?"
    request: type[Request] = SpecificityRequest
    result: type = SpecificityResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    counts_as: tuple[str, ...] = ("test_of_the_test",)
    pace: float = 0.2
    demands: tuple[Capability[Any], ...] = (HEADS,)
    place: int = 70

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
        for question, other, stage in zip(_ask_each(request)[1:], request.others, stages[1:], strict=True):
            known = None if means is None else MEANS.of(subject).capture_means(question.prompts, kinds=request.kinds)
            try:
                there = CircuitRunner(subject, question, runs=3, means=known, on_progress=stage)
                there.run([there.circuit, frozenset(other.components)])
                losses.append(_compare(own, there, frozenset(other.components), n_tasks=len(request.others)))
                controls.append(there.controls)
            except NotMeasured as error:
                untested[question.prompts.name] = error.detail
        divergence, drawn, why = _measure_text(subject, request)
        on_progress(total, total)
        return SpecificityResult(
            own=own.estimate(own.lost(own.circuit), request.necessity_conditions),
            tasks=tuple(losses),
            untested=untested,
            divergence=divergence,
            random_divergences=drawn,
            random_as_large=0 if divergence is None else sum(value >= divergence.estimate.value for value in drawn),
            text_not_measured=why,
            controls=join_controls(controls),
        )

    def ask(self, assessed: AssessedCircuit) -> Request:
        return replace(super().ask(assessed), others=assessed.others)  # type: ignore[type-var]

    def list_findings(self, result: SpecificityResult, components: Collection[str]) -> tuple[Finding, ...]:
        found = [Finding(decide_side(task.is_apart), task.finding) for task in result.tasks]
        drawn = len(result.random_divergences)
        if result.divergence is not None and drawn:
            text = (
                f"Without it, predictions on unrelated text change by {format_estimate(result.divergence.estimate)}; "
                f"{result.random_as_large} of {drawn} random sets of its shape change them as much."
            )
            is_valid = False if not result.random_as_large and drawn >= RANDOM_SETS else None
            found.append(Finding(decide_side(is_valid), text))
        untested = [Finding(Side.UNRESOLVED, f"{name}: not measured: {why}") for name, why in result.untested.items()]
        return (*found, *untested)


def _count_each_work(subject: Subject, request: SpecificityRequest) -> list[int]:
    """Units of work of the circuit's own task, then of each other task; the text counts as a few runs of the first."""
    first, *rest = _ask_each(request)
    text = 1 + RANDOM_SETS // 4
    return [
        count_run_work(subject, first, 2 + len(request.others) + text),
        *(count_run_work(subject, question, 3) for question in rest),
    ]


def _ask_each(request: SpecificityRequest) -> tuple[CircuitQuestion, ...]:
    """Requests for the circuit's own task and for every other task, with the same circuit."""
    others = [keep_measurable(other.prompts, other.prompts, request.replacements) for other in request.others]
    return (
        request,
        *(replace(request, prompts=kept, reference=kept) for kept in others),
    )


def _compare(own: CircuitRunner, there: CircuitRunner, counter: Parts, *, n_tasks: int) -> TaskLoss:
    question, name = own.question, there.question.prompts.name
    # Bonferroni: the level of each difference is corrected for the number of tasks.
    level = 1 - (1 - LEVEL) / n_tasks
    difference = Measurement(
        _contrast(own, there, own.circuit, level),
        question.state_conditions(f"circuit ablated, {question.prompts.name} against {name}"),
    )
    lost_here = own.estimate(own.lost(own.circuit), question.necessity_conditions)
    lost = there.estimate(there.lost(there.circuit), there.question.necessity_conditions)
    counterpart, costs_its_own = None, False
    if counter:
        theirs = replace(there.question, components=tuple(sorted(counter)))
        words = f"{name}'s own circuit ablated, {name} against {question.prompts.name}"
        counterpart = Measurement(_contrast(there, own, counter, level), theirs.state_conditions(words))
        costs_its_own = _is_above(there.estimate(there.lost(counter), theirs.necessity_conditions))
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
        return False, f"Shared with {name}: its loss without the circuit is equal to within {DELTA:g}."
    if not (_is_above(difference) and _is_above(lost_here)):
        return None, f"Unresolved against {name}: no difference of {DELTA:g} of the gap was shown."
    if counterpart is None:
        return True, f"Its own task loses more than {name}: a single dissociation."
    if _is_above(counterpart) and costs_its_own:
        return True, f"Double dissociation from {name}: ablating each circuit affects its own task more."
    return (
        None,
        f"Its own task loses more than {name}, but ablating {name}'s circuit was not shown to affect {name} more.",
    )


def _is_above(found: Measurement) -> bool:
    return found.estimate.low is not None and found.estimate.low > DELTA


def _measure_text(subject: Subject, request: SpecificityRequest) -> tuple[Measurement | None, tuple[float, ...], str]:
    """Divergence on unrelated text without the circuit, and without random sets of its shape."""
    sets, _ = draw_sets(
        request.components, list_universe(subject, request.universe), seed=request.seed, draws=RANDOM_SETS
    )
    edits = {"circuit": intervene(request.components, request.replacement)}
    edits |= {f"random {at}": intervene(parts, request.replacement) for at, parts in enumerate(sets)}
    try:
        found = measure_divergence(subject, edits, seed=request.seed)
    except NotMeasured as error:
        return None, (), error.detail
    first, *rest = found.values()
    conditions: Conditions = request.state_conditions("circuit ablated, on unrelated text")
    return Measurement(first, conditions), tuple(estimate.value for estimate in rest), ""


PLUGIN = SpecificityAudit()
