"""Faithfulness curve: share of the metric kept by the first k components of an order, compared with random orders."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from audit_core.audit import Example, Finding, Side, decide_side
from audit_core.capability import HEADS, Capability
from audit_core.circuits.circuit_check import AssessedCircuit, CircuitCheck, Search, WithClaim
from audit_core.circuits.circuit_question import check_circuit
from audit_core.circuits.circuit_search import SearchQuestion, count_order_work, search_elsewhere, share_progress
from audit_core.circuits.curve import Areas, list_sizes, measure_areas, plan_curve
from audit_core.component import Component
from audit_core.controls import Controls, join_controls
from audit_core.effect import check_task, get_metric, measure_effect
from audit_core.errors import ClaimRefused
from audit_core.evidence.kind import Causal
from audit_core.intervention import intervene
from audit_core.judging.faithfulness import UNIT, check_empty_gap, list_universe
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, Request
from audit_core.stats.bootstrap import bootstrap_ratios
from audit_core.stats.estimates import format_estimate
from audit_core.stats.measurement import Measurement
from audit_core.subject import Means, Progress, Subject, no_partial

RANDOM_ORDERS = 19
"""Number of random orders; the p-value cannot go below 0.05."""
QUICK_ORDERS = 5
"""Random orders in the quick form."""
PROMPTS = 24
"""Maximum prompts: every point ablates nearly everything, which is a whole forward pass per prompt."""


@dataclass(frozen=True)
class CurveRequest(SearchQuestion):
    """Request: a circuit, and an order of all components to compare with."""

    order: tuple[Component, ...] = ()
    """The whole universe, most important first; if empty, the method finds it on the exploratory prompts."""
    random_orders: Annotated[int, Ask("Random orders", "Orders to compare with.")] = RANDOM_ORDERS
    """Random orders to compare with; with fewer, a p-value cannot reach 0.05."""


@dataclass(frozen=True)
class CurvePoint:
    """Circuits of one size."""

    size: int
    kept: Causal[Measurement]
    """(m(C_k) − m(∅)) / (m(M) − m(∅))."""
    random: Causal[tuple[float, ...]]
    """The same for each random order's circuit of this size."""


@dataclass(frozen=True, kw_only=True)
class CurveResult:
    """A curve and its areas, with random baselines."""

    points: tuple[CurvePoint, ...]
    named: Causal[Measurement]
    """Sufficiency of the named circuit."""
    random_of_its_size: Causal[tuple[float, ...]]
    """Sufficiency of each random order's circuit of that size."""
    first: tuple[str, ...]
    """The first components of the order, as many as the circuit has."""
    areas: Causal[Areas]
    random_areas: Causal[tuple[Areas, ...]]
    random_as_near: int
    """Number of random orders at least as close to the whole model, by CMD."""
    n: int
    controls: Controls


_EXAMPLES = (
    Example(
        {"components": "L1.H0 L1.H3", "random_orders": "3"},
        "Two heads restore the whole gap, and an exact search finds them first.",
        lambda found: set(found.first) == {"L1.H0", "L1.H3"} and abs(found.named.estimate.value - 1) < 0.01,
    ),
)


@dataclass(frozen=True)
class CurveAudit(CircuitCheck):
    name: str = "curve"
    question: str = "How much do the first components of an order keep?"
    request: type[Request] = CurveRequest
    result: type = CurveResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    counts_as: tuple[str, ...] = ("test_of_the_test",)
    pace: float = 0.17
    demands: tuple[Capability[Any], ...] = (HEADS,)
    place: int = 30
    has_quick_form: bool = True
    search: Search = Search.FIRST
    with_claim: WithClaim = WithClaim.OFFERED

    def count_work(self, subject: Subject, request: CurveRequest) -> int:
        return _count_search_work(subject, request) + _count_curve_work(subject, request)

    def run(
        self,
        subject: Subject,
        request: CurveRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> CurveResult:
        universe = list_universe(subject, request.universe)
        check_circuit(request.components, universe, request.universe)
        total, looking = self.count_work(subject, request), _count_search_work(subject, request)
        searching = share_progress(on_progress, total, 0, looking)
        order, searched = _find_order(subject, request, universe, with_means=means is not None, on_progress=searching)
        rng, prompts = np.random.default_rng(request.seed), _take_few(request.prompts)
        metric = get_metric(request.metric)
        sizes = list_sizes(len(universe), len(request.components))
        orders = [order] + [
            tuple(universe[at] for at in rng.permutation(len(universe))) for _ in range(request.random_orders)
        ]
        circuit = set(request.components)
        alone = intervene([part for part in universe if part not in circuit], request.replacement)
        effect = measure_effect(
            subject,
            prompts,
            [*(run for row in orders for run in plan_curve(row, universe, request.replacement, sizes)), alone],
            metric,
            means=means,
            seed=request.seed,
            on_progress=share_progress(on_progress, total, looking, total - looking),
        )
        check_task(effect)
        # At the last size nothing is ablated: the clean run.
        runs = effect.patched[:-1].reshape(len(orders), len(sizes) - 1, -1)
        whole = np.broadcast_to(effect.clean, (len(orders), 1, len(prompts)))
        runs = np.concatenate([runs, whole], axis=1)
        empty = runs[0, 0]
        scale = effect.clean - empty
        check_empty_gap(scale, metric.min_gap)
        values: NDArray[np.float64] = (runs - empty).mean(2) / scale.mean()
        rows = np.stack([*runs[0], effect.patched[-1]]) - empty
        *kept, named = bootstrap_ratios(rows, scale, prompts.templates, unit=UNIT, seed=request.seed)
        areas = [measure_areas(sizes, row) for row in values]
        return CurveResult(
            points=tuple(
                CurvePoint(size, Measurement(estimate, request.sufficiency_conditions), tuple(values[1:, at].tolist()))
                for at, (size, estimate) in enumerate(zip(sizes, kept, strict=True))
            ),
            named=Measurement(named, request.sufficiency_conditions),
            random_of_its_size=tuple(values[1:, sizes.index(len(circuit))].tolist()),
            first=tuple(map(str, order[: len(circuit)])),
            areas=areas[0],
            random_areas=tuple(areas[1:]),
            random_as_near=sum(other.cmd <= areas[0].cmd for other in areas[1:]),
            n=len(prompts),
            controls=join_controls((*searched, effect.controls)),
        )

    def ask_quickly(self, few: AssessedCircuit) -> Request:
        return replace(self.ask(few), random_orders=QUICK_ORDERS)  # type: ignore[type-var]

    def list_findings(self, result: CurveResult, components: Collection[str]) -> tuple[Finding, ...]:
        orders = f"{result.random_as_near} of {len(result.random_areas)} random orders come as close to the whole model"
        return (
            _weigh_size(result),
            Finding(Side.ABOUT_THE_SEARCH, f"Compared with the discovered order, {orders}."),
        )


def _find_order(
    subject: Subject,
    request: CurveRequest,
    universe: Sequence[Component],
    *,
    with_means: bool,
    on_progress: Progress,
) -> tuple[tuple[Component, ...], tuple[Controls, ...]]:
    """The requested order, or the discovered one with the controls of the discovery."""
    if not request.order:
        found = search_elsewhere(subject, request, with_means=with_means, on_progress=on_progress)
        return found.components, () if found.controls is None else (found.controls,)
    if sorted(map(str, request.order)) != sorted(map(str, universe)):
        raise ClaimRefused(
            f"An order of {len(request.order)} components.",
            wanted=f"each of the {len(universe)} {request.universe} of this model once.",
            remedy="use an order from a discovery.",
        )
    return request.order, ()


def _count_search_work(subject: Subject, request: CurveRequest) -> int:
    return 0 if request.order else count_order_work(subject, request.method, request.search)


def _count_curve_work(subject: Subject, request: CurveRequest) -> int:
    universe = list_universe(subject, request.universe)
    sizes = list_sizes(len(universe), len(request.components))
    whole = intervene(universe, request.replacement)
    return subject.count_work(_take_few(request.prompts), (whole,)) * (1 + len(sizes) * (1 + request.random_orders))


def _take_few(prompts: TokenisedPrompts) -> TokenisedPrompts:
    return prompts.take(prompts.spread(PROMPTS))


def _weigh_size(found: CurveResult) -> Finding:
    """The circuit beside random circuits of its size."""
    named, drawn = found.named.estimate, found.random_of_its_size
    as_near = sum(abs(1 - value) <= abs(1 - named.value) for value in drawn)
    is_valid = None
    if named.low is not None and named.high is not None:
        furthest = max(abs(1 - named.low), abs(1 - named.high))
        # True: its whole interval is closer than all draws. False: half of the draws are as close.
        if not as_near and all(abs(1 - value) > furthest for value in drawn):
            is_valid = True
        elif 2 * as_near >= len(drawn):
            is_valid = False
    return Finding(
        decide_side(is_valid),
        f"{as_near} of {len(drawn)} random circuits of its size alone come as close to the whole model; it keeps "
        f"{format_estimate(named)}.",
    )


PLUGIN = CurveAudit()
