"""Experts of a mixture: where the routers send tokens, beside what each expert does to the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from audit_core.audit import Audit, Example, Verdicts
from audit_core.capability import MEANS, ROUTING, Capability, components_of
from audit_core.component import Kind
from audit_core.errors import Refused
from audit_core.mixture.measurement import ExpertMeasurement, ExpertsRequest, plan_experts
from audit_core.mixture.results import NOT_ROUTED, ExpertsResult
from audit_core.request import Request
from audit_core.subject import Means, Progress, Subject, no_partial

_PLANTED = {"L0.E5": "above δ", "L0.E3": "within δ", "L0.E4": NOT_ROUTED}
_EXAMPLE = Example(
    {},
    "L0.E5 carries the answer, L0.E3 has the larger weight and does nothing, L0.E4 receives no token.",
    lambda found: _PLANTED.items() <= {row.component: row.reading for row in found.experts}.items(),
    task="lookup",
    verdicts=Verdicts(
        lambda found: [row.reading for name in _PLANTED for row in found.experts if row.component == name],
        tuple(_PLANTED.values()),
        frozenset({"unresolved"}),
    ),
)


@dataclass(frozen=True)
class ExpertsAudit(Audit):
    name: str = "experts"
    question: str = "Where do the routers send tokens, and what does each expert do?"
    request: type[Request] = ExpertsRequest
    result: type = ExpertsResult
    version: int = 3
    planted: str = "planted-mixture"
    examples: tuple[Example, ...] = (_EXAMPLE,)
    summary: str = (
        "Load and weights of each expert, beside its measured effect and the three parts of masking it in the router."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    demands: tuple[Capability[Any], ...] = (components_of(Kind.EXPERT), ROUTING, MEANS)

    def count_work(self, subject: Subject, request: ExpertsRequest) -> int:
        return subject.count_work(request.prompts, plan_experts(subject, request))

    def run(
        self,
        subject: Subject,
        request: ExpertsRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> ExpertsResult:
        ROUTING.of(subject)
        if not 0 < request.delta <= 2:
            raise Refused(
                f"A smallest effect of {request.delta:g}.",
                wanted="a fraction of the gap above 0, at most 2.",
                remedy="give 0.1 or another fraction.",
            )
        return ExpertMeasurement(subject, request, means, on_progress).finish()


PLUGIN = ExpertsAudit()
