"""Integrated gradients from the tokens that replace a prompt's own, with completeness checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from audit_core.capability import GRADIENTS, Capability
from audit_core.engine.gradients import embed, get_runner
from audit_core.engine.path_gradients import integrate_gradients
from audit_core.errors import NotMeasured
from audit_core.evidence.kind import Evidence
from audit_core.explanations.method import Array, Scores, Task
from audit_core.explanations.units import pool_positions

STEPS, MOST = 32, 128
AIM = 1e-3
"""Steps double until the completeness error is at most this, or `MOST` is reached; beyond 5 % the prompt is refused."""


@dataclass(frozen=True)
class IntegratedGradients:
    """Gradients along the straight path from the replaced to the own embeddings, by the midpoint rule.

    The baseline is the replaced prompt, not zero or padding: so this method, occlusion and Shapley values answer one
    question, and their sums equal the same measured change.

    Source: Sundararajan, Taly and Yan 2017, arXiv:1703.01365.
    """

    name: str = "integrated_gradients"
    title: str = "Integrated gradients"
    question: str = "How does the change from replaced to own tokens divide among tokens, along a straight path?"
    assumes: str = (
        "It assumes that inputs between two texts mean something. The baseline is the prompt with all its units replaced."
    )
    costs: str = f"{STEPS} to {MOST} forward and backward passes."
    evidence: Evidence = Evidence.ESTIMATED
    is_signed: bool = True
    is_random: bool = False
    check: str = "completeness error"
    demands: tuple[Capability[Any], ...] = field(default=(GRADIENTS,))

    def score(self, task: Task, *, seed: int) -> Scores:
        runner = get_runner(task.subject)
        values: list[Array | None] = []
        errors: list[float | None] = []
        refusal = ""
        for pair, units, donor in zip(task.prompts.pairs, task.units, task.donors, strict=True):
            replaced = {at for unit in units for at in unit.positions}
            ids = [donor[at] if at in replaced else token for at, token in enumerate(pair.clean_ids)]
            try:
                found = integrate_gradients(
                    task.subject, pair, embed(runner, [ids])[0].numpy(), steps=STEPS, most=MOST, aim=AIM
                )
                values.append(pool_positions(found.relevance, units))
                errors.append(found.missed)
            except NotMeasured as error:
                values.append(None)
                errors.append(None)
                refusal = error.detail
            task.on_progress(len(values), len(task.prompts))
        return Scores(tuple(values), tuple(errors), refusal)


PLUGIN = IntegratedGradients()
