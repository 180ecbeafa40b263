"""Recomposition of a circuit: effects of its components alone, together and cumulatively, and the unexplained rest."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from audit_core.audit import Example, Finding, decide_side
from audit_core.capability import HEADS, Capability
from audit_core.circuits.circuit_check import CircuitCheck, WithClaim
from audit_core.circuits.circuit_question import CircuitQuestion, CircuitRunner, Parts, count_run_work
from audit_core.component import Component
from audit_core.controls import Controls
from audit_core.evidence.kind import Causal
from audit_core.request import Request
from audit_core.stats.estimates import format_estimate
from audit_core.stats.measurement import Conditions, Measurement
from audit_core.subject import Means, Progress, Subject, no_partial

LEFT_OVER = 0.20
"""Maximum unexplained share of a sufficient circuit, in either direction (methods 2.1)."""


@dataclass(frozen=True)
class RecompositionRequest(CircuitQuestion):
    """Request: the circuit to decompose."""


@dataclass(frozen=True)
class ComponentShare:
    """One component of the circuit."""

    component: str
    lost: Causal[Measurement]
    """Loss of the whole model with only this component ablated."""
    put_back: Causal[Measurement]
    """Share kept after restoring it and all earlier components in the empty circuit."""


@dataclass(frozen=True, kw_only=True)
class RecompositionResult:
    """A circuit and its components, in one unit."""

    n_universe: int
    """Number of components in the universe."""
    parts: tuple[ComponentShare, ...]
    """In the order of restoration: from the first layer to the last."""
    lost_together: Causal[Measurement]
    lost_added_up: Causal[Measurement]
    """Sum of the losses with each component ablated alone."""
    interaction: Causal[Measurement]
    """Joint loss minus sum of single losses: negative if components act in series, positive if they are redundant."""
    kept: Causal[Measurement]
    left_over: Causal[Measurement]
    """Unexplained: 1 − share that the circuit alone keeps; negative if the circuit overshoots."""
    controls: Controls


_EXAMPLES = (
    Example(
        {"components": "L1.H0 L1.H3"},
        "Both put back together restore the whole gap, L1.H0 alone more than all of it.",
        lambda found: [round(part.put_back.estimate.value, 1) for part in found.parts] == [1.4, 1.0],
    ),
)


@dataclass(frozen=True)
class RecompositionAudit(CircuitCheck):
    name: str = "recomposition"
    question: str = "Do the components together reproduce the answer, and how much is unexplained?"
    request: type[Request] = RecompositionRequest
    result: type = RecompositionResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    counts_as: tuple[str, ...] = ("test_of_the_test",)
    pace: float = 0.2
    demands: tuple[Capability[Any], ...] = (HEADS,)
    place: int = 10
    has_quick_form: bool = True
    with_claim: WithClaim = WithClaim.OFFERED

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
        alone = request.state_conditions("one component ablated")
        added = request.state_conditions("each component ablated alone, summed")
        return RecompositionResult(
            n_universe=len(runner.universe),
            parts=tuple(_read_part(runner, part, kept, alone) for part, kept in zip(order, grown, strict=True)),
            lost_together=runner.estimate(runner.lost(circuit), request.necessity_conditions),
            lost_added_up=runner.estimate(singles, added),
            interaction=runner.estimate(
                runner.lost(circuit) - singles,
                request.state_conditions("circuit ablated, minus each component ablated alone"),
            ),
            kept=runner.estimate(runner.kept(circuit), request.sufficiency_conditions),
            left_over=runner.estimate(runner.scale - runner.kept(circuit), request.sufficiency_conditions),
            controls=runner.controls,
        )

    def list_findings(self, result: RecompositionResult, components: Collection[str]) -> tuple[Finding, ...]:
        left = result.left_over
        is_valid = True if left.is_within(LEFT_OVER) else False if left.is_beyond(LEFT_OVER) else None
        return (Finding(decide_side(is_valid), f"Unexplained after recomposition: {format_estimate(left.estimate)}."),)


def _read_part(runner: CircuitRunner, part: Component, kept: Parts, alone: Conditions) -> ComponentShare:
    put_back = runner.question.state_conditions(
        f"all other {runner.question.universe} ablated except the first components"
    )
    return ComponentShare(
        str(part),
        runner.estimate(runner.lost(frozenset([part])), alone),
        runner.estimate(runner.kept(kept), put_back),
    )


def _count_runs(request: RecompositionRequest) -> int:
    return 2 + 2 * len(request.components)


PLUGIN = RecompositionAudit()
