"""Saliency: the length of the gradient of the answer at each token's embedding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from audit_core.capability import GRADIENTS, Capability
from audit_core.evidence.kind import Evidence
from audit_core.explanations.gradients import differentiate_embeddings
from audit_core.explanations.method import Scores, Task
from audit_core.explanations.units import pool_positions


@dataclass(frozen=True)
class Gradient:
    """‖∂m/∂e‖₂ per token, added up over a unit.

    Source: Simonyan, Vedaldi and Zisserman 2013, arXiv:1312.6034.
    """

    name: str = "gradient"
    title: str = "Gradient (saliency)"
    question: str = "To which tokens is the answer most sensitive, for a very small change?"
    assumes: str = "It assumes that a very small change says what a replaced token would do. It has no sign, and misses saturated parts."
    costs: str = "One forward and one backward pass."
    evidence: Evidence = Evidence.ESTIMATED
    is_signed: bool = False
    is_random: bool = False
    check: str = ""
    demands: tuple[Capability[Any], ...] = field(default=(GRADIENTS,))

    def score(self, task: Task, *, seed: int) -> Scores:
        found = differentiate_embeddings(task)
        return Scores(
            tuple(
                pool_positions((row.gradient**2).sum(-1) ** 0.5, units)
                for row, units in zip(found, task.units, strict=True)
            )
        )


PLUGIN = Gradient()
