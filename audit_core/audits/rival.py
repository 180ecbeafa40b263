"""Alternative circuits: whether other sets of components keep as much, found on one split and measured on the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from audit_core.audit import Example, Finding, Verdicts, decide_side
from audit_core.capability import HEADS, Capability
from audit_core.circuits.circuit_check import CircuitCheck, Search, WithClaim
from audit_core.circuits.circuit_question import CircuitRunner, Parts, count_run_work
from audit_core.circuits.circuit_search import SearchQuestion, count_order_work, search_elsewhere, share_progress
from audit_core.circuits.completeness import name_parts
from audit_core.circuits.sufficiency import SUFFICIENT_HIGH, SUFFICIENT_LOW, is_not_sufficient, is_sufficient
from audit_core.component import Component
from audit_core.controls import Controls, join_controls
from audit_core.errors import ClaimRefused
from audit_core.evidence.kind import Causal, NotEvidence
from audit_core.request import Request
from audit_core.stats.measurement import Measurement
from audit_core.subject import Means, Progress, Subject, no_partial

DISTINCT = 0.5
"""Below this Jaccard index two circuits count as different (methods 2.25)."""
MIXES = 4
"""Number of alternatives that share components with the circuit, in addition to the disjoint one."""
RUNS = 1 + 2 * (2 + MIXES)


@dataclass(frozen=True)
class RivalRequest(SearchQuestion):
    """Request: the circuit, judged on `prompts`; alternatives are found on other prompts."""

    settings: ClassVar[Mapping[str, Any]] = {"mixes": MIXES}


@dataclass(frozen=True)
class AlternativeCircuit:
    """A different set of the circuit's size."""

    components: tuple[str, ...]
    jaccard: NotEvidence[float]
    """Jaccard index with the circuit: shared components / components in either."""
    necessity: Causal[Measurement]
    sufficiency: Causal[Measurement]


@dataclass(frozen=True, kw_only=True)
class RivalResult:
    """The circuit and its alternatives, measured on prompts not used for discovery."""

    circuit: AlternativeCircuit
    """The circuit itself, with Jaccard index 1."""
    rivals: tuple[AlternativeCircuit, ...]
    """Alternatives in order of construction; the first shares no component."""
    n_sufficient: int
    """Number of alternatives shown to be sufficient."""
    has_no_rival: bool | None
    """Whether the circuit is sufficient and each alternative was shown not to be; None if an interval includes a bound."""
    sentence: str
    how: str
    """How alternatives were found."""
    controls: Controls


def _know(has_no_rival: bool) -> Verdicts:
    return Verdicts(lambda found: [str(found.has_no_rival)], str(has_no_rival), frozenset({"None"}))


_EXAMPLES = (
    Example(
        {"components": "L1.H0 L1.H3"},
        "No other circuit of two heads does the task.",
        lambda found: found.has_no_rival is True,
        verdicts=_know(True),
    ),
)
_CONTRASTS = (
    Example(
        {"components": "L0.H0 L1.H0", "replacement": "zero", "method": "greedy_pruning"},
        "Two heads each pass on what the first finds: with L1.H1 in the place of L1.H0 it is as good a circuit.",
        lambda found: found.has_no_rival is False,
        task="absence",
        half="confirmatory",
        model="planted-or",
        per_template=6,
        verdicts=_know(False),
    ),
)


@dataclass(frozen=True)
class RivalAudit(CircuitCheck):
    name: str = "rival"
    question: str = "Are other sets of components as good?"
    request: type[Request] = RivalRequest
    result: type = RivalResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    contrasts: tuple[Example, ...] = _CONTRASTS
    counts_as: tuple[str, ...] = ("test_of_the_test",)
    pace: float = 0.36
    demands: tuple[Capability[Any], ...] = (HEADS,)
    place: int = 50
    has_quick_form: bool = True
    search: Search = Search.FIRST
    with_claim: WithClaim = WithClaim.OFFERED

    def count_work(self, subject: Subject, request: RivalRequest) -> int:
        return count_order_work(subject, request.method, request.search) + count_run_work(subject, request, RUNS)

    def run(
        self,
        subject: Subject,
        request: RivalRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> RivalResult:
        total, looking = self.count_work(subject, request), count_order_work(subject, request.method, request.search)
        order = search_elsewhere(
            subject, request, with_means=means is not None, on_progress=share_progress(on_progress, total, 0, looking)
        )
        measuring = share_progress(on_progress, total, looking, total - looking)
        runner = CircuitRunner(subject, request, runs=RUNS, means=means, on_progress=measuring)
        if len(runner.universe) < 2 * len(runner.circuit):
            raise ClaimRefused(
                f"A circuit of {len(runner.circuit)} of {len(runner.universe)} components.",
                wanted="at most half of the universe: an alternative has the same size.",
                remedy="use a smaller circuit, or the larger universe.",
            )
        sets = [runner.circuit, *make_rivals(request.components, order.components, seed=request.seed)]
        runner.run(out for chosen in sets for out in (chosen, runner.all_but(chosen)))
        runner.finish()
        own, *others = [_measure(runner, chosen) for chosen in sets]
        n_sufficient = sum(is_sufficient(rival.sufficiency.estimate) for rival in others)
        return RivalResult(
            circuit=own,
            rivals=tuple(others),
            n_sufficient=n_sufficient,
            has_no_rival=_decide(own, others),
            sentence=_describe(own, others),
            how=f"{request.method} on {len(request.search.prompts)} exploratory prompts of {request.search.prompts.name}: its first components "
            f"outside the circuit, alone and in {len(others) - 1} random mixtures with components of the circuit",
            controls=runner.controls if order.controls is None else join_controls((order.controls, runner.controls)),
        )

    def list_findings(self, result: RivalResult, components: Collection[str]) -> tuple[Finding, ...]:
        return (Finding(decide_side(result.has_no_rival), result.sentence),)


def make_rivals(circuit: Sequence[Component], order: Sequence[Component], *, seed: int) -> tuple[Parts, ...]:
    """Sets of the circuit's size with a Jaccard index below `DISTINCT` with it.

    The first is disjoint. Each of the others shares a random subset of the circuit, as large as the bound allows, and takes
    the rest from the beginning of the order.
    """
    size, inside = len(circuit), set(circuit)
    outside = [part for part in order if part not in inside]
    # The Jaccard index of two sets of k components with s in common is s / (2k − s).
    shared = max(s for s in range(size) if s < DISTINCT * (2 * size - s))
    rng, found = np.random.default_rng(seed), [frozenset(outside[:size])]
    for _ in range(MIXES if shared else 0):
        kept = rng.permutation(size)[:shared]
        found.append(frozenset([*(circuit[at] for at in kept), *outside[: size - shared]]))
    return tuple(dict.fromkeys(found))


def _measure(runner: CircuitRunner, chosen: Parts) -> AlternativeCircuit:
    circuit, question = runner.circuit, runner.question
    own_question = replace(question, components=tuple(sorted(chosen)))
    return AlternativeCircuit(
        name_parts(chosen),
        len(chosen & circuit) / len(chosen | circuit),
        runner.estimate(runner.lost(chosen), own_question.necessity_conditions),
        runner.estimate(runner.kept(chosen), own_question.sufficiency_conditions),
    )


def _decide(own: AlternativeCircuit, others: Sequence[AlternativeCircuit]) -> bool | None:
    if any(is_sufficient(rival.sufficiency.estimate) for rival in others):
        return False
    all_outside = all(is_not_sufficient(rival.sufficiency.estimate) for rival in others)
    return True if all_outside and is_sufficient(own.sufficiency.estimate) else None


def _describe(own: AlternativeCircuit, others: Sequence[AlternativeCircuit]) -> str:
    between = f"between {SUFFICIENT_LOW:g} and {SUFFICIENT_HIGH:g} of the gap"
    rivals = sum(is_sufficient(rival.sufficiency.estimate) for rival in others)
    if not is_sufficient(own.sufficiency.estimate):
        also = f"{rivals or 'none'} of {len(others)} alternatives were"
        return f"The circuit alone was not shown to keep {between}; {also}."
    if rivals:
        return (
            f'{rivals} of {len(others)} alternatives also keep {between}: this is a sufficient set, not "the" circuit.'
        )
    near = sum(not is_not_sufficient(rival.sufficiency.estimate) for rival in others)
    open_ = f"; {near} unresolved" if near else ""
    return f"None of {len(others)} tested alternatives was shown to keep {between}, as the circuit does{open_}. Untested ones may."


PLUGIN = RivalAudit()
