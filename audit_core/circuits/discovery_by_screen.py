"""Circuit discovery by an estimator: components ordered by estimated effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.circuits.discovery import DiscoveryRequest, Order, order_by_size
from audit_core.component import Component
from audit_core.estimator import EstimateRequest, Estimator
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, PromptSide
from audit_core.judging.faithfulness import list_universe
from audit_core.prompts.prompt_set import require_distinguished
from audit_core.subject import Means, Progress, Subject

_PASSES = 3
"""About two forward passes and one backward pass."""


@dataclass(frozen=True)
class EstimatedOrder:
    """Components ordered by magnitude of the estimated effect on the logit difference, the metric of all estimators."""

    name: str
    question: str
    method: Estimator

    @property
    def misses(self) -> str:
        return self.method.misses

    def count_work(self, subject: Subject, request: DiscoveryRequest) -> int:
        return _PASSES * subject.count_work(request.prompts, (CLEAN_RUN, CORRUPTED_RUN))

    def order(
        self, subject: Subject, request: DiscoveryRequest, *, means: Means | None, on_progress: Progress
    ) -> Order:
        require_distinguished(request.prompts.pairs, has_choice=False)
        parts = list_universe(subject, request.universe)
        found: dict[Component, NDArray[np.float64]] = {}
        kinds = tuple(dict.fromkeys(part.kind for part in parts))
        for step, kind in enumerate(kinds):
            part_request = EstimateRequest(request.prompts, kind, request.replacement, PromptSide.CLEAN)

            def report(done: int, total: int, before: int = step) -> None:
                on_progress(before * total + done, len(kinds) * total)

            estimate = self.method.estimate(subject, part_request, on_progress=report)
            found |= dict(zip(estimate.components, estimate.support.astype(np.float64), strict=True))
        per_prompt = np.stack([found[part] for part in parts])
        return order_by_size(parts, per_prompt, "logits, estimated", None)
