"""Circuit discovery: an order of components, from the exploratory split, by a method with documented blind spots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from audit_core.audit import Audit, Example
from audit_core.capability import HEADS, Capability
from audit_core.circuits.circuit_search import count_order_work, find_order
from audit_core.circuits.discovery import Discovery, DiscoveryRequest
from audit_core.claim import Universe
from audit_core.component import Kind
from audit_core.controls import Controls
from audit_core.evidence.kind import Estimated
from audit_core.intervention import Replacement
from audit_core.judging.faithfulness import list_kinds
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.request import Ablation, Everything, Method, MetricName, Request
from audit_core.subject import Means, Progress, Subject, no_partial


@dataclass(frozen=True)
class DiscoverRequest(Request):
    """Request: discovery method and prompts."""

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    method: Method
    """Key of a plug-in in `circuit_discovery/`."""
    universe: Everything = Universe.HEADS
    replacement: Ablation = Replacement.RESAMPLE
    metric: MetricName = "logit_difference"
    seed: int = 0

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(list_kinds(self.universe))

    @property
    def search(self) -> DiscoveryRequest:
        """Request to the discovery method."""
        return DiscoveryRequest(self.prompts, self.universe, self.replacement, self.metric, self.seed)


@dataclass(frozen=True, kw_only=True)
class DiscoverResult:
    """All components of the universe, most important first; a hypothesis."""

    method: str
    misses: str
    is_measured: bool
    """Whether scores are measured effects; otherwise they are estimates or ranks."""
    unit: str
    n: int
    components: tuple[str, ...]
    scores: Estimated[tuple[float, ...]]
    """Scores that define the order, without intervals; shape (component,)."""
    controls: Controls | None
    """None if nothing was measured."""


_EXAMPLES = (
    Example(
        {"method": "exact"},
        "L1.H0 comes first, and L1.H3, which acts against the answer, second.",
        lambda found: found.components[:2] == ("L1.H0", "L1.H3"),
        half="exploratory",
    ),
)


@dataclass(frozen=True)
class DiscoverAudit(Audit):
    name: str = "discover"
    question: str = "Which components may form a circuit?"
    request: type[Request] = DiscoverRequest
    result: type = DiscoverResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    counts_as: tuple[str, ...] = ()
    demands: tuple[Capability[Any], ...] = (HEADS,)

    def count_work(self, subject: Subject, request: DiscoverRequest) -> int:
        return count_order_work(subject, request.method, request.search)

    def run(
        self,
        subject: Subject,
        request: DiscoverRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> DiscoverResult:
        found = find_order(subject, request.method, request.search, means=means, on_progress=on_progress)
        method: Discovery = get_plugin("circuit_discovery", request.method)
        return DiscoverResult(
            method=method.name,
            misses=method.misses,
            is_measured=found.is_measured,
            unit=found.unit,
            n=len(request.prompts),
            components=tuple(map(str, found.components)),
            scores=tuple(found.scores.tolist()),
            controls=found.controls,
        )


PLUGIN = DiscoverAudit()
