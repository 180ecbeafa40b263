"""Greedy pruning: from the whole universe, what is missed least is taken away, round after round, every loss measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.circuits.discovery import DiscoveryRequest, Order
from audit_core.component import Component
from audit_core.effect import Controls, join_controls, measure_effect
from audit_core.intervention import Intervention, intervene
from audit_core.judging.faithfulness import list_universe
from audit_core.registry import get_plugin
from audit_core.subject import Means, Progress, Subject

PROMPTS = 12
"""At most: each round measures every part that is left."""
DROPPED = 0.25
"""Share of the parts left that goes in each round; the last eight go one by one."""
_ONE_BY_ONE = 8


@dataclass(frozen=True)
class GreedyPruning:
    """Source: Conmy et al. 2023, arXiv:2304.14997, taken to nodes and to rounds."""

    name: str = "greedy_pruning"
    question: str = "What can be taken away next, with the least lost?"
    misses: str = "It keeps one of two parts that each suffice, and which one is an accident of rounding."

    def count_work(self, subject: Subject, request: DiscoveryRequest) -> int:
        parts = list_universe(subject, request.universe)
        prompts = request.prompts.take(request.prompts.spread(PROMPTS))
        # Which parts are left changes what a round costs but little: each takes nearly everything away.
        one = subject.count_work(prompts, (intervene(parts, request.replacement),))
        return one * sum(_list_rounds(len(parts)))

    def order(
        self, subject: Subject, request: DiscoveryRequest, *, means: Means | None, on_progress: Progress
    ) -> Order:
        parts = list_universe(subject, request.universe)
        prompts, metric = request.prompts.take(request.prompts.spread(PROMPTS)), get_plugin("metrics", request.metric)
        gone, scores = list[Component](), list[float]()
        controls: list[Controls] = []
        furthest = 0

        def tell(before: int, share: int) -> Progress:
            """A round that is cut in half begins again, and must not seem to run back."""

            def report(done: int, total: int) -> None:
                nonlocal furthest
                furthest = max(furthest, before + share * done // total)
                on_progress(furthest, len(parts))

            return report

        def miss(sets: Sequence[Sequence[Component]], share: int) -> NDArray[np.float64]:
            """How far the metric is from the whole model's with these taken away too, up or down: a part that pushes
            against the answer is missed as well."""
            effect = measure_effect(
                subject,
                prompts,
                [_take_away(parts, [*gone, *chosen], request) for chosen in sets],
                metric,
                means=means,
                seed=request.seed,
                on_progress=tell(len(gone), share),
            )
            controls.append(effect.controls)
            missed: NDArray[np.float64] = np.abs((effect.clean - effect.patched).mean(1))
            return missed

        while len(gone) < len(parts):
            left = [part for part in parts if part not in set(gone)]
            size = _count_dropped(len(left))
            missed = miss([[part] for part in left], size)
            order = np.argsort(missed, kind="stable")
            # Two that stand in for each other are each missed by nobody; together they must not go unnoticed.
            while (
                size > 1
                and miss([[left[at] for at in order[:size]]], 0)[0] > missed[order[:size]].sum() + metric.min_gap
            ):
                size //= 2
            scores += missed[order[:size]].tolist()
            gone += [left[at] for at in order[:size]]
        on_progress(len(parts), len(parts))
        return Order(tuple(gone[::-1]), np.array(scores[::-1]), metric.unit, True, join_controls(controls))


def _take_away(parts: Sequence[Component], out: Sequence[Component], request: DiscoveryRequest) -> Intervention:
    """In the universe's order, so that the same set is the same intervention."""
    chosen = set(out)
    return intervene([part for part in parts if part in chosen], request.replacement)


def _count_dropped(size: int) -> int:
    return 1 if size <= _ONE_BY_ONE else max(1, math.floor(DROPPED * size))


def _list_rounds(size: int) -> list[int]:
    """Parts measured in each round."""
    rounds = []
    while size:
        rounds.append(size)
        size -= _count_dropped(size)
    return rounds


PLUGIN = GreedyPruning()
