"""Circuit discovery by measured effects: each component replaced alone."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core.circuits.discovery import DiscoveryRequest, Order, order_by_size
from audit_core.effect import measure_effect
from audit_core.intervention import Intervention, intervene
from audit_core.judging.faithfulness import list_universe
from audit_core.registry import get_plugin
from audit_core.subject import Means, Progress, Subject


@dataclass(frozen=True)
class Exact:
    name: str = "exact"
    question: str = "How much does the metric lose with each component replaced alone?"
    misses: str = "Components with a backup, and components that matter only together."

    def count_work(self, subject: Subject, request: DiscoveryRequest) -> int:
        return subject.count_work(request.prompts, _replace_each(subject, request))

    def order(
        self, subject: Subject, request: DiscoveryRequest, *, means: Means | None, on_progress: Progress
    ) -> Order:
        effect = measure_effect(
            subject,
            request.prompts,
            _replace_each(subject, request),
            get_plugin("metrics", request.metric),
            means=means,
            seed=request.seed,
            on_progress=on_progress,
        )
        parts = list_universe(subject, request.universe)
        return order_by_size(parts, effect.support, effect.unit, effect.controls)


def _replace_each(subject: Subject, request: DiscoveryRequest) -> tuple[Intervention, ...]:
    return tuple(intervene([part], request.replacement) for part in list_universe(subject, request.universe))


PLUGIN = Exact()
