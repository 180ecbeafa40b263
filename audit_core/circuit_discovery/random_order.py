"""Random order of components: the baseline of all discovery methods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit_core.circuits.discovery import DiscoveryRequest, Order
from audit_core.judging.faithfulness import list_universe
from audit_core.subject import Means, Progress, Subject


@dataclass(frozen=True)
class RandomOrder:
    name: str = "random_order"
    question: str = "Which circuit does a random order propose?"
    misses: str = "Everything, except by coincidence."

    def count_work(self, subject: Subject, request: DiscoveryRequest) -> int:
        return 1

    def order(
        self, subject: Subject, request: DiscoveryRequest, *, means: Means | None, on_progress: Progress
    ) -> Order:
        parts = list_universe(subject, request.universe)
        ranks = np.random.default_rng(request.seed).permutation(len(parts))
        on_progress(1, 1)
        return Order(tuple(parts[at] for at in ranks), np.arange(len(parts), 0, -1.0), "random rank", False, None)


PLUGIN = RandomOrder()
