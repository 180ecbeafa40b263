"""Gradient × attention over the units of a prompt: the existing view, as an order of tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from audit_core.capability import GRADIENTS, HEADS, Capability
from audit_core.evidence.kind import Evidence
from audit_core.explanations.method import Scores, Task
from audit_core.explanations.views import read_view


@dataclass(frozen=True)
class GradientAttentionMethod:
    """See the view `gradient_attention`."""

    name: str = "gradient_attention"
    title: str = "Gradient × attention"
    question: str = "To which tokens does attention from the answer position raise the answer?"
    assumes: str = "It assumes that attention acts to first order. Heads that act against the answer are left out."
    costs: str = "One forward and one backward pass with all patterns."
    evidence: Evidence = Evidence.ESTIMATED
    is_signed: bool = False
    is_random: bool = False
    check: str = ""
    demands: tuple[Capability[Any], ...] = field(default=(HEADS, GRADIENTS))

    def score(self, task: Task, *, seed: int) -> Scores:
        return read_view(task, "gradient_attention")


PLUGIN = GradientAttentionMethod()
