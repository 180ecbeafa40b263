"""Any screening method as a way of looking for a circuit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.circuits.discovery import DiscoveryRequest, Order, order_by_size
from audit_core.component import Component
from audit_core.estimator import EstimateRequest, Estimator
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, PromptSide
from audit_core.judging.faithfulness import list_universe
from audit_core.subject import Means, Progress, Subject

_PASSES = 3
"""Two forward and one backward, about."""


@dataclass(frozen=True)
class EstimatedOrder:
    """Components by the size of their estimated effect; always of the logit difference, the metric that slopes are taken of."""

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
        parts = list_universe(subject, request.universe)
        found: dict[Component, NDArray[np.float64]] = {}
        kinds = tuple(dict.fromkeys(part.kind for part in parts))
        for step, kind in enumerate(kinds):
            asked = EstimateRequest(request.prompts, kind, request.replacement, PromptSide.CLEAN)

            def report(done: int, total: int, before: int = step) -> None:
                on_progress(before * total + done, len(kinds) * total)

            screen = self.method.screen(subject, asked, on_progress=report)
            found |= dict(zip(screen.components, screen.support.astype(np.float64), strict=True))
        per_prompt = np.stack([found[part] for part in parts])
        return order_by_size(parts, per_prompt, "logits, estimated", None)
