"""Attention edges: effect of removing each edge of one head into the answer position, on one prompt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from audit_core.audit import Audit, Example
from audit_core.capability import HEADS, Capability
from audit_core.component import Kind, edge
from audit_core.controls import Controls
from audit_core.effect import get_metric, measure_effect
from audit_core.errors import Refused
from audit_core.evidence.kind import Causal, Evidence
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, MetricName, Request
from audit_core.result_layout import Sheet
from audit_core.subject import Means, Progress, Subject, no_partial


@dataclass(frozen=True)
class EdgesRequest(Request):
    """Request: one head and one prompt."""

    prompts: TokenisedPrompts
    """Exactly one prompt, because positions of different prompts do not align."""
    layer: Annotated[int, Ask("Layer")]
    head: Annotated[int, Ask("Head", "Number of the head in its layer.")]
    metric: MetricName = "logit_difference"
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return (Replacement.ZERO,)

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset((Kind.EDGE,))


@dataclass(frozen=True, kw_only=True)
class EdgesResult:
    """Effect of each edge from the answer position of one head, on one prompt (n = 1, no interval)."""

    layer: int
    head: int
    tokens: tuple[str, ...]
    """Key tokens, in order."""
    support: Causal[tuple[float, ...]]
    """Metric lost when the edge's attention weight is set to zero, not renormalised; in `unit`; shape (key,)."""
    unit: str
    controls: Controls


_EXAMPLES = (
    Example(
        {"layer": "1", "head": "0"},
        "L1.H0 takes its 10 logits from one token.",
        lambda found: [round(value) for value in sorted(found.support)[-2:]] == [0, 10],
        is_of_one=True,
    ),
)


@dataclass(frozen=True)
class EdgesAudit(Audit):
    name: str = "edges"
    question: str = "Which tokens that this head attends to change the answer?"
    request: type[Request] = EdgesRequest
    result: type = EdgesResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    counts_as: tuple[str, ...] = ("causal_results",)
    demands: tuple[Capability[Any], ...] = (HEADS,)
    # Each row computes one position and reads the keys and values of all before it.
    pace: float = 4.0

    def count_work(self, subject: Subject, request: EdgesRequest) -> int:
        return subject.count_work(request.prompts, _list_edges(request))

    def run(
        self,
        subject: Subject,
        request: EdgesRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> EdgesResult:
        if len(request.prompts) != 1:
            raise Refused(
                f"{len(request.prompts)} prompts.", wanted="one prompt.", remedy="choose a prompt of the set."
            )
        effect = measure_effect(
            subject,
            request.prompts,
            _list_edges(request),
            get_metric(request.metric),
            seed=request.seed,
            on_progress=on_progress,
        )
        return EdgesResult(
            layer=request.layer,
            head=request.head,
            tokens=request.prompts.pairs[0].pieces,
            support=tuple(effect.support[:, 0].tolist()),
            unit=effect.unit,
            controls=effect.controls,
        )

    def rows(self, result: EdgesResult) -> tuple[Sheet, ...]:
        return (
            Sheet(
                "edges",
                ("token", f"effect, {result.unit}"),
                tuple(zip(result.tokens, result.support, strict=True)),
                (Evidence.CAUSAL,),
            ),
        )


def _list_edges(request: EdgesRequest) -> list[Intervention]:
    last = len(request.prompts.pairs[0].clean_ids) - 1
    return [intervene([edge(request.layer, request.head, last, key)], Replacement.ZERO) for key in range(last + 1)]


PLUGIN = EdgesAudit()
