"""How much of the whole model an order of components keeps, from few to all, beside random orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit_core.claim import Universe
from audit_core.component import Component, Kind
from audit_core.curve import Areas, list_sizes, measure_areas, plan_curve
from audit_core.effect import Controls, check_task, measure_effect
from audit_core.errors import ClaimRefused
from audit_core.faithfulness import UNIT, check_empty_gap, list_kinds, list_universe
from audit_core.intervention import Replacement
from audit_core.prompts import TokenisedPrompts
from audit_core.run import get_metric
from audit_core.statistics import Estimate, bootstrap_ratios
from audit_core.subject import Means, Progress, Subject, no_partial

RANDOM_ORDERS = 12
PROMPTS = 24
"""At most: every point takes nearly everything away, which is a whole pass a prompt."""


@dataclass(frozen=True)
class CurveRequest:
    """Which order of components, and on which prompts."""

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    order: tuple[Component, ...]
    """The whole universe, the most important first."""
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
            "order": [str(c) for c in self.order],
            "universe": self.universe.value,
            "replacement": self.replacement.value,
            "metric": self.metric,
        }


@dataclass(frozen=True)
class CurvePoint:
    """Circuits of one size."""

    size: int
    kept: Estimate
    """(m(C_k) − m(∅)) / (m(M) − m(∅))."""
    random: tuple[float, ...]
    """The same of each random order's circuit of this size."""


@dataclass(frozen=True)
class CurveResult:
    """A curve and its areas, beside chance."""

    points: tuple[CurvePoint, ...]
    areas: Areas
    random_areas: tuple[Areas, ...]
    random_as_near: int
    """Random orders that come at least as near to the whole model, by CMD."""
    n: int
    controls: Controls


@dataclass(frozen=True)
class CurveAudit:
    name: str = "curve"
    question: str = "How much do the first few components of an order keep?"
    result: type = CurveResult

    def count_work(self, subject: Subject, request: CurveRequest) -> int:
        universe = list_universe(subject, request.universe)
        plans = plan_curve(request.order, universe, request.replacement)
        return subject.count_work(_take_few(request.prompts), plans) * (1 + RANDOM_ORDERS)

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
        if sorted(map(str, request.order)) != sorted(map(str, universe)):
            raise ClaimRefused(
                f"An order of {len(request.order)} components.",
                wanted=f"each of the {len(universe)} {request.universe} of this model once.",
                remedy="take the order that a discovery gives.",
            )
        rng, prompts, metric = (
            np.random.default_rng(request.seed),
            _take_few(request.prompts),
            get_metric(request.metric),
        )
        orders = [request.order] + [
            tuple(universe[at] for at in rng.permutation(len(universe))) for _ in range(RANDOM_ORDERS)
        ]
        sizes = list_sizes(len(universe))
        effect = measure_effect(
            subject,
            prompts,
            [run for order in orders for run in plan_curve(order, universe, request.replacement)],
            metric,
            means=means,
            seed=request.seed,
            on_progress=on_progress,
        )
        check_task(effect)
        # At the last size nothing is taken away, which is the clean run.
        runs = effect.patched.reshape(len(orders), len(sizes) - 1, -1)
        whole = np.broadcast_to(effect.clean, (len(orders), 1, len(prompts)))
        runs = np.concatenate([runs, whole], axis=1)
        empty = runs[0, 0]
        scale = effect.clean - empty
        check_empty_gap(scale, metric.min_gap)
        values: NDArray[np.float64] = (runs - empty).mean(2) / scale.mean()
        kept = bootstrap_ratios(runs[0] - empty, scale, prompts.templates, unit=UNIT, seed=request.seed)
        areas = [measure_areas(sizes, row) for row in values]
        return CurveResult(
            tuple(
                CurvePoint(size, estimate, tuple(values[1:, at].tolist()))
                for at, (size, estimate) in enumerate(zip(sizes, kept, strict=True))
            ),
            areas[0],
            tuple(areas[1:]),
            sum(other.cmd <= areas[0].cmd for other in areas[1:]),
            len(prompts),
            effect.controls,
        )


def _take_few(prompts: TokenisedPrompts) -> TokenisedPrompts:
    return prompts.take(prompts.spread(PROMPTS))


PLUGIN = CurveAudit()
