"""A circuit taken apart and put together again: what its parts do alone, together, one after another, and what is left over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from audit_core.circuits.circuit_question import CircuitQuestion, CircuitRunner, Parts, count_run_work
from audit_core.component import Component
from audit_core.effect import Controls
from audit_core.evidence.kind import Causal
from audit_core.stats.measurement import Conditions, Measurement
from audit_core.subject import Means, Progress, Subject, no_partial


@dataclass(frozen=True)
class RecompositionRequest(CircuitQuestion):
    """Which circuit is taken apart."""


@dataclass(frozen=True)
class ComponentShare:
    """One component of the circuit."""

    component: str
    lost: Causal[Measurement]
    """What the whole model loses without it alone."""
    put_back: Causal[Measurement]
    """What is kept once it and all components before it are put back into the empty circuit."""


@dataclass(frozen=True)
class RecompositionResult:
    """A circuit and its parts, on one scale."""

    n_universe: int
    """Components that "everything" means here."""
    parts: tuple[ComponentShare, ...]
    """From the first layer to the last, which is the order in which they are put back."""
    lost_together: Causal[Measurement]
    lost_added_up: Causal[Measurement]
    """Sum over parts of what the model loses without each alone."""
    interaction: Causal[Measurement]
    """Together minus added up: below zero where parts pass something on to one another, above where they stand in for one
    another."""
    kept: Causal[Measurement]
    left_over: Causal[Measurement]
    """1 − what the circuit alone keeps: what the rest of the universe does; negative where the circuit overshoots."""
    controls: Controls


@dataclass(frozen=True)
class RecompositionAudit:
    name: str = "recomposition"
    question: str = "Do the parts put back together reproduce the answer, and what is left over?"
    result: type = RecompositionResult
    version: int = 8
    counts_as: tuple[str, ...] = ("test_of_the_test",)
    shows_results: bool = True

    def count_work(self, subject: Subject, request: RecompositionRequest) -> int:
        return count_run_work(subject, request, _count_runs(request))

    def run(
        self,
        subject: Subject,
        request: RecompositionRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> RecompositionResult:
        runner = CircuitRunner(subject, request, runs=_count_runs(request), means=means, on_progress=on_progress)
        circuit, order = runner.circuit, sorted(runner.circuit, key=lambda part: (part.layer, str(part)))
        grown = [frozenset(order[: size + 1]) for size in range(len(order))]
        runner.run([circuit, *(frozenset([part]) for part in order), *map(runner.all_but, grown)])
        runner.finish()
        singles = sum((runner.lost(frozenset([part])) for part in order), start=0 * runner.clean)
        alone = request.state_conditions("one component taken away")
        added = request.state_conditions("each component taken away alone, added up")
        return RecompositionResult(
            len(runner.universe),
            tuple(_read_part(runner, part, kept, alone) for part, kept in zip(order, grown, strict=True)),
            runner.estimate(runner.lost(circuit), request.taken_away),
            runner.estimate(singles, added),
            runner.estimate(
                runner.lost(circuit) - singles,
                request.state_conditions("circuit taken away, minus each component taken away alone"),
            ),
            runner.estimate(runner.kept(circuit), request.left_alone),
            runner.estimate(runner.scale - runner.kept(circuit), request.left_alone),
            runner.controls,
        )


def _read_part(runner: CircuitRunner, part: Component, kept: Parts, alone: Conditions) -> ComponentShare:
    put_back = runner.question.state_conditions(f"all other {runner.question.universe} taken away but the first parts")
    return ComponentShare(
        str(part),
        runner.estimate(runner.lost(frozenset([part])), alone),
        runner.estimate(runner.kept(kept), put_back),
    )


def _count_runs(request: RecompositionRequest) -> int:
    return 2 + 2 * len(request.components)


PLUGIN = RecompositionAudit()
