"""The gap between two prompts: an audit as an installation may add it, one file that nothing else names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from audit_core.audit import Audit, Example
from audit_core.component import Component
from audit_core.controls import Controls
from audit_core.effect import get_metric, measure_effect
from audit_core.evidence.kind import Causal, Observational
from audit_core.intervention import Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, Components, MetricName, Request
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import Estimate
from audit_core.subject import Means, Progress, Subject, no_partial


@dataclass(frozen=True)
class PlantedGapRequest(Request):
    """Request: components, and how often the gap is reported."""

    prompts: TokenisedPrompts
    components: Components
    times: Annotated[int, Ask("Times", "How often each part is listed.")] = 1
    metric: MetricName = "logit_difference"
    seed: int = 0


@dataclass(frozen=True)
class PlantedPart:
    """One component."""

    component: str
    effect: Causal[Estimate]


@dataclass(frozen=True, kw_only=True)
class PlantedGapResult:
    """The gap, and the effect of each component."""

    sentence: str
    gap: Observational[Estimate]
    parts: tuple[PlantedPart, ...]
    controls: Controls


_EXAMPLES = (
    Example(
        {"components": "L1.H0"}, "Zeroing L1.H0 costs 10.", lambda found: abs(found.parts[0].effect.value - 10) < 0.1
    ),
)


@dataclass(frozen=True)
class PlantedGapAudit(Audit):
    name: str = "planted_gap"
    question: str = "How wide is the gap between the two prompts?"
    request: type[Request] = PlantedGapRequest
    result: type = PlantedGapResult
    version: int = 1
    counts_as: tuple[str, ...] = ("causal_results",)
    examples: tuple[Example, ...] = _EXAMPLES

    def count_work(self, subject: Subject, request: PlantedGapRequest) -> int:
        return subject.count_work(request.prompts, _edit_each(request.components))

    def run(
        self,
        subject: Subject,
        request: PlantedGapRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> PlantedGapResult:
        edits, metric = _edit_each(request.components), get_metric(request.metric)
        effect = measure_effect(subject, request.prompts, edits, metric, seed=request.seed, on_progress=on_progress)
        clusters, unit, seed = request.prompts.templates, effect.unit, request.seed
        parts = [
            PlantedPart(str(part), bootstrap_mean(row, clusters, unit=unit, seed=seed))
            for part, row in zip(request.components, effect.support, strict=True)
        ]
        return PlantedGapResult(
            sentence="The gap was measured.",
            gap=bootstrap_mean(effect.gap, clusters, unit=unit, seed=seed),
            parts=tuple(parts * request.times),
            controls=effect.controls,
        )


def _edit_each(components: tuple[Component, ...]) -> list[Any]:
    return [intervene([part], Replacement.ZERO) for part in components]


PLUGIN = PlantedGapAudit()
