"""Gradient × input: each token's embedding times the gradient of the answer there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from audit_core.capability import GRADIENTS, Capability
from audit_core.evidence.kind import Evidence
from audit_core.explanations.gradients import differentiate_embeddings
from audit_core.explanations.method import Scores, Task
from audit_core.explanations.units import pool_positions


@dataclass(frozen=True)
class GradientInput:
    """Σ_d e_d ∂m/∂e_d per token: the first-order change of the answer if the embedding became zero.

    Source: Shrikumar et al. 2016, arXiv:1605.01713.
    """

    name: str = "gradient_input"
    title: str = "Gradient × input"
    question: str = "By how much would the answer fall to first order if a token's embedding became zero?"
    assumes: str = "It assumes that the answer is linear between the embedding and zero, and that zero means that a token is absent."
    costs: str = "One forward and one backward pass."
    evidence: Evidence = Evidence.ESTIMATED
    is_signed: bool = True
    is_random: bool = False
    check: str = ""
    demands: tuple[Capability[Any], ...] = field(default=(GRADIENTS,))

    def score(self, task: Task, *, seed: int) -> Scores:
        found = differentiate_embeddings(task)
        return Scores(
            tuple(
                pool_positions((row.embedding * row.gradient).sum(-1), units)
                for row, units in zip(found, task.units, strict=True)
            )
        )


PLUGIN = GradientInput()
