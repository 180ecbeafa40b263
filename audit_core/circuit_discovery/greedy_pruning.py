"""Greedy pruning: starting from all components, ablate those with the smallest measured loss, round by round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.circuits.discovery import DiscoveryRequest, Order
from audit_core.component import Component
from audit_core.controls import Controls, join_controls
from audit_core.effect import measure_effect
from audit_core.intervention import Intervention, intervene
from audit_core.judging.faithfulness import list_universe
from audit_core.registry import get_plugin
from audit_core.subject import Means, Progress, Subject

PROMPTS = 12
"""Maximum size of the universe: each round measures every remaining component."""
DROPPED = 0.25
"""Share of the remaining components that is removed per round; the last eight are removed one by one."""
_ONE_BY_ONE = 8


@dataclass(frozen=True)
class GreedyPruning:
    """Source: Conmy et al. 2023, arXiv:2304.14997, applied to nodes, in rounds."""

    name: str = "greedy_pruning"
    question: str = "Which component can be removed next with the smallest loss?"
    misses: str = "Of two components that are each sufficient it keeps one, chosen by rounding."

    def count_work(self, subject: Subject, request: DiscoveryRequest) -> int:
        parts = list_universe(subject, request.universe)
        prompts = request.prompts.take(request.prompts.spread(PROMPTS))
        # Every round ablates nearly everything, so its cost depends little on the remaining components.
        one = subject.count_work(prompts, (intervene(parts, request.replacement),))
        return one * sum(_list_rounds(len(parts)))

    def order(
        self, subject: Subject, request: DiscoveryRequest, *, means: Means | None, on_progress: Progress
    ) -> Order:
        parts = list_universe(subject, request.universe)
        prompts, metric = request.prompts.take(request.prompts.spread(PROMPTS)), get_plugin("metrics", request.metric)
        removed, scores = list[Component](), list[float]()
        controls: list[Controls] = []
        furthest = 0

        def report_progress(before: int, share: int) -> Progress:
            """Progress that never decreases: a round that is halved is measured again."""

            def report(done: int, total: int) -> None:
                nonlocal furthest
                furthest = max(furthest, before + share * done // total)
                on_progress(furthest, len(parts))

            return report

        def measure_loss(sets: Sequence[Sequence[Component]], share: int) -> NDArray[np.float64]:
            """Absolute change of the metric from the whole model when these are ablated too; components that act against
            the answer count as well."""
            effect = measure_effect(
                subject,
                prompts,
                [_ablate(parts, [*removed, *chosen], request) for chosen in sets],
                metric,
                means=means,
                seed=request.seed,
                on_progress=report_progress(len(removed), share),
            )
            controls.append(effect.controls)
            losses: NDArray[np.float64] = np.abs((effect.clean - effect.patched).mean(1))
            return losses

        while len(removed) < len(parts):
            left = [part for part in parts if part not in set(removed)]
            size = _count_dropped(len(left))
            losses = measure_loss([[part] for part in left], size)
            order = np.argsort(losses, kind="stable")
            # Two redundant components have no effect alone, but have one together.
            while (
                size > 1
                and measure_loss([[left[at] for at in order[:size]]], 0)[0]
                > losses[order[:size]].sum() + metric.min_gap
            ):
                size //= 2
            scores += losses[order[:size]].tolist()
            removed += [left[at] for at in order[:size]]
        on_progress(len(parts), len(parts))
        return Order(tuple(removed[::-1]), np.array(scores[::-1]), metric.unit, True, join_controls(controls))


def _ablate(parts: Sequence[Component], out: Sequence[Component], request: DiscoveryRequest) -> Intervention:
    """Ablate a set, in the order of the universe, so that equal sets give equal interventions."""
    chosen = set(out)
    return intervene([part for part in parts if part in chosen], request.replacement)


def _count_dropped(size: int) -> int:
    return 1 if size <= _ONE_BY_ONE else max(1, math.floor(DROPPED * size))


def _list_rounds(size: int) -> list[int]:
    """Components measured in each round."""
    rounds = []
    while size:
        rounds.append(size)
        size -= _count_dropped(size)
    return rounds


PLUGIN = GreedyPruning()
