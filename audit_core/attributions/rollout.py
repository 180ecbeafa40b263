"""Attention rollout over the units of a prompt: the existing view, as an order of tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from audit_core.capability import HEADS, PATTERNS, Capability
from audit_core.evidence.kind import Evidence
from audit_core.explanations.method import Scores, Task
from audit_core.explanations.views import read_view


@dataclass(frozen=True)
class RolloutMethod:
    """See the view `rollout`."""

    name: str = "rollout"
    title: str = "Attention rollout"
    question: str = "How much of each token would reach the answer if attention were all that mixes them?"
    assumes: str = "It assumes that heads pass tokens on unchanged and that half of each layer is residual."
    costs: str = "One forward pass with all patterns."
    evidence: Evidence = Evidence.OBSERVATIONAL
    is_signed: bool = False
    is_random: bool = False
    check: str = ""
    demands: tuple[Capability[Any], ...] = field(default=(HEADS, PATTERNS))

    def score(self, task: Task, *, seed: int) -> Scores:
        return read_view(task, "rollout")


PLUGIN = RolloutMethod()
