"""Integrated gradients of tokens, from a baseline embedding to the prompt's, with a completeness check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audit_core.component import Kind
from audit_core.engine.gradients import GRADIENT_TOKENS, embed, get_runner, measure_gradients
from audit_core.errors import NotMeasured
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Floats, Subject, read_only

STEPS = 50
"""Initial steps of the midpoint rule (methods 2.12)."""
MOST_STEPS = 800
COMPLETE = 0.05
"""Maximum completeness error |Σ IG − ΔF| / |ΔF| (methods 2.12)."""


Rule = Callable[[int], tuple[list[float], list[float]]]
"""Points between 0 and 1, and their weights, which add up to 1."""


def midpoints(steps: int) -> tuple[list[float], list[float]]:
    """Equal steps, each at its middle."""
    return [(step + 0.5) / steps for step in range(steps)], [1 / steps] * steps


def gauss_points(steps: int) -> tuple[list[float], list[float]]:
    """Gauss–Legendre: exact for polynomials up to degree 2 · steps − 1, so that a smooth path needs few points."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    return ((points + 1) / 2).tolist(), (weights / 2).tolist()


@dataclass(frozen=True, eq=False)
class TokenGradients:
    """Relevance of each token; the sum equals the joint change of all tokens."""

    relevance: Floats
    """In logits; shape (pos,)."""
    change: float
    """Logit difference of the prompt minus that of the baseline."""
    missed: float
    """|Σ relevance − change| / |change|."""
    steps: int

    def __post_init__(self) -> None:
        read_only(self.relevance)


def integrate_gradients(
    subject: Subject,
    pair: TokenPair,
    baseline: Floats,
    *,
    steps: int = STEPS,
    most: int = MOST_STEPS,
    aim: float = COMPLETE,
    rule: Rule = midpoints,
) -> TokenGradients:
    """IG_i = (x_i − x′_i) · ∫ ∂m/∂x_i along x′ + α (x − x′), with steps doubled until complete.

    Args:
        baseline: start embeddings x′; shape (pos, d_model). The result depends on the choice of baseline.
        rule: where gradients are taken, and what each counts.
        aim: completeness error at which steps are no longer doubled; up to `COMPLETE` is accepted at the most steps.

    Raises:
        NotMeasured: the sum still differs from the change at the maximum number of steps.
        Refused: this subject has no gradients.

    Source: Sundararajan, Taly and Yan 2017, arXiv:1703.01365.
    """
    import torch

    runner = get_runner(subject)
    calls = runner.find_calls(len(pair.clean_ids))
    far, near = torch.from_numpy(np.array(baseline))[None], embed(runner, [pair.clean_ids])
    many = max(1, GRADIENT_TOKENS // len(pair.clean_ids))

    def gradients_at(alphas: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.cat([far + alpha * (near - far) for alpha in alphas])
        found = measure_gradients(
            runner, rows, [pair.answer_ids] * len(alphas), [pair.foil_ids] * len(alphas), (Kind.RESID,), calls
        )
        return found.gradients[Kind.RESID, 0], found.metric

    ends = gradients_at([0.0, 1.0])[1]
    change = float(ends[1] - ends[0])
    while True:
        total = torch.zeros_like(near[0])
        points, weights = rule(steps)
        for at in range(0, steps, many):
            part = slice(at, at + many)
            total += (gradients_at(points[part])[0] * torch.tensor(weights[part])[:, None, None]).sum(0)
        relevance = ((near - far)[0] * total).sum(-1)
        missed = abs(float(relevance.sum()) - change) / max(abs(change), 1e-9)
        is_last = 2 * steps > most
        if missed <= (COMPLETE if is_last else aim):
            return TokenGradients(relevance.numpy().astype(np.float32), change, missed, steps)
        if is_last:
            raise NotMeasured(
                "control_failed",
                f"with {steps} steps the sum of integrated gradients differs by {missed:.0%} from the change of {change:.2f} logits, "
                f"at most {COMPLETE:.0%} allowed; use more steps or a closer baseline.",
            )
        steps *= 2
