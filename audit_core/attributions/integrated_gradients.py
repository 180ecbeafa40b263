"""Integrated gradients from the tokens that replace a prompt's own, with completeness checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from audit_core.capability import GRADIENTS, Capability
from audit_core.engine.path_gradients import integrate_adaptively
from audit_core.errors import NotMeasured
from audit_core.evidence.kind import Evidence
from audit_core.explanations.gradients import find_baseline
from audit_core.explanations.method import SANITY_OF_COSTLY, Scores, Task
from audit_core.explanations.units import pool_positions

MOST = 256
AIM = 1e-3
"""Parts of the path are cut until the completeness error is at most this, or `MOST` points are reached; beyond 5 % the prompt is
refused."""


@dataclass(frozen=True)
class IntegratedGradients:
    """Gradients along the straight path from a baseline to the prompt's embeddings, with more points where the path bends.

    The baseline is the mean embedding of prompts of this length at each place: "compared with the average such prompt".
    Zero or padding would be no text.

    Source: Sundararajan, Taly and Yan 2017, arXiv:1703.01365.
    """

    name: str = "integrated_gradients"
    title: str = "Integrated gradients"
    question: str = (
        "How does the change from the average prompt to this one divide among tokens, along a straight path?"
    )
    assumes: str = (
        "It assumes that inputs between texts mean something. The baseline is the mean embedding at each place over prompts "
        "of this length."
    )
    costs: str = f"9 to {MOST} forward and backward passes, so that on randomised weights at most {SANITY_OF_COSTLY} prompts are scored."
    evidence: Evidence = Evidence.ESTIMATED
    is_signed: bool = True
    is_random: bool = False
    check: str = "completeness error"
    is_costly: bool = True
    demands: tuple[Capability[Any], ...] = field(default=(GRADIENTS,))

    def score(self, task: Task, *, seed: int) -> Scores:
        baselines = [find_baseline(task, at) for at in range(len(task.prompts))]
        found = integrate_adaptively(
            task.subject, task.prompts.pairs, baselines, most=MOST, aim=AIM, on_progress=task.on_progress
        )
        values = tuple(
            None if isinstance(one, NotMeasured) else pool_positions(one.relevance, units)
            for one, units in zip(found, task.units, strict=True)
        )
        errors = tuple(None if isinstance(one, NotMeasured) else one.missed for one in found)
        refusals = [one.detail for one in found if isinstance(one, NotMeasured)]
        return Scores(values, errors, errors, refusals[-1] if refusals else "")


PLUGIN = IntegratedGradients()
