"""Whether a circuit is the task's own: what other tasks, and unrelated text, lose without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from audit_core.circuit_question import CircuitQuestion, CircuitRunner, Parts, identify_prompts, price_runs
from audit_core.component import Component
from audit_core.drift import measure_divergence
from audit_core.effect import Controls, join_controls
from audit_core.errors import NotMeasured
from audit_core.faithfulness import UNIT, list_universe
from audit_core.groups import Ratio, contrast_ratios
from audit_core.intervention import intervene
from audit_core.measurement import Conditions, Measurement
from audit_core.null import draw_sets
from audit_core.prompts import TokenisedPrompts
from audit_core.statistics import Estimate
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
        return super().describe() | {"others": others}


@dataclass(frozen=True)
class TaskLoss:
    """The circuit on another task."""

    task: str
    lost: Measurement
    """What the other task loses without the circuit; fraction of that task's own gap."""
    difference: Measurement
    """Loss of the circuit's own task minus this."""
    counterpart: Measurement | None
    """The same difference for the other task's circuit; None without one."""
    is_apart: bool | None
    """Whether the two tasks are told apart as far as was asked; None where that is not resolved."""
    finding: str


@dataclass(frozen=True)
class SpecificityResult:
    """What a circuit does beside its own task."""

    own: Measurement
    tasks: tuple[TaskLoss, ...]
    untested: dict[str, str]
    """Why, per other task that the model does not do."""
    divergence: Measurement | None
    """KL(whole ‖ without the circuit) of the next token on unrelated text; None where it could not be measured."""
    random_divergences: tuple[float, ...]
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

    def count_work(self, subject: Subject, request: SpecificityRequest) -> int:
        return sum(price_runs(subject, asked, _RUNS) for asked in _ask_each(request))

    def run(
        self,
        subject: Subject,
        request: SpecificityRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> SpecificityResult:
        own = CircuitRunner(
            subject, request, runs=_RUNS, means=means, on_progress=self._share(subject, request, 0, on_progress)
        )
        own.run([own.circuit, *(frozenset(other.components) for other in request.others)])
        losses, untested, controls = [], {}, [own.controls]
        for at, (asked, other) in enumerate(zip(_ask_each(request)[1:], request.others, strict=True), start=1):
            known = None if means is None else subject.capture_means(asked.prompts, kinds=request.kinds)
            try:
                there = CircuitRunner(
                    subject, asked, runs=_RUNS, means=known, on_progress=self._share(subject, request, at, on_progress)
                )
            except NotMeasured as error:
                untested[asked.prompts.name] = error.detail
                continue
            there.run([there.circuit, frozenset(other.components)])
            controls.append(there.controls)
            losses.append(_compare(own, there, frozenset(other.components)))
        divergence, drawn, why = _measure_text(subject, request)
        total = self.count_work(subject, request)
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

    def _share(self, subject: Subject, request: SpecificityRequest, at: int, on_progress: Progress) -> Progress:
        """Progress of one task among all."""
        prices = [price_runs(subject, asked, _RUNS) for asked in _ask_each(request)]
        before, total = sum(prices[:at]), sum(prices)
        return lambda done, of: on_progress(before + prices[at] * done // of, total)


def _ask_each(request: SpecificityRequest) -> tuple[CircuitQuestion, ...]:
    """The circuit's own task, and every other with the same circuit."""
    return (
        request,
        *(replace(request, prompts=other.prompts, reference=other.prompts) for other in request.others),
    )


def _compare(own: CircuitRunner, there: CircuitRunner, counter: Parts) -> TaskLoss:
    question, name = own.question, there.question.prompts.name
    here = f"circuit taken away, {own.question.prompts.name} against {name}"
    difference = Measurement(_contrast(own, there, own.circuit, question.seed), question.state_conditions(here))
    counterpart = None
    if counter:
        other = f"{name}'s circuit taken away, {name} against {question.prompts.name}"
        counterpart = Measurement(_contrast(there, own, counter, question.seed), question.state_conditions(other))
    lost = there.estimate(there.lost(there.circuit), there.question.taken_away)
    return TaskLoss(name, lost, difference, counterpart, *_find_dissociation(name, lost, difference, counterpart))


def _contrast(first: CircuitRunner, second: CircuitRunner, out: Parts, seed: int) -> Estimate:
    ratios = (Ratio(runner.lost(out), runner.scale, runner.clusters) for runner in (first, second))
    return contrast_ratios(*ratios, unit=f"{UNIT}, difference", seed=seed)


def _find_dissociation(
    name: str, lost: Measurement, difference: Measurement, counterpart: Measurement | None
) -> tuple[bool | None, str]:
    if not _is_above(difference):
        if lost.is_beyond(DELTA):
            return False, f"Shared with {name}: without the circuit it is changed as well, and not clearly less."
        return None, f"Not told apart from {name} by {DELTA:g} of the gap."
    if counterpart is None:
        return True, f"Its own task loses more than {name}: one half of a dissociation."
    if _is_above(counterpart):
        return True, f"Double dissociation from {name}: each circuit costs its own task more."
    return None, f"Its own task loses more than {name}, but {name}'s circuit does not cost {name} clearly more."


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


_RUNS = 4
"""Of one task at most: everything, the circuit, and another task's circuit taken away; the text counts as one."""

PLUGIN = SpecificityAudit()
