"""Attention mass: what the answer position attends to, averaged over all heads of all layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audit_core.capability import ATTENTION, Capability
from audit_core.evidence.kind import Evidence
from audit_core.explanations.method import Scores, Task
from audit_core.explanations.units import pool_positions


@dataclass(frozen=True)
class AttentionMass:
    """Mean over layers and heads of attention from the answer position; layers without heads are left out."""

    name: str = "attention"
    title: str = "Attention"
    question: str = "Which tokens does the answer position attend to, averaged over all heads?"
    assumes: str = "It assumes that what is attended to is also used. Values, MLPs and signs are ignored."
    costs: str = "One forward pass."
    evidence: Evidence = Evidence.OBSERVATIONAL
    is_signed: bool = False
    is_random: bool = False
    check: str = ""
    demands: tuple[Capability[Any], ...] = field(default=(ATTENTION,))

    def score(self, task: Task, *, seed: int) -> Scores:
        rows = ATTENTION.of(task.subject).attention_to_last(task.prompts, on_progress=task.on_progress)
        return Scores(
            tuple(
                pool_positions(np.nanmean(row, axis=(0, 1)), units) for row, units in zip(rows, task.units, strict=True)
            )
        )


PLUGIN = AttentionMass()
