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


def nested_points(steps: int) -> tuple[list[float], list[float]]:
    """Clenshaw–Curtis, for an even number of steps: few points of a smooth path suffice, and twice the steps reuse them all.

    Source: Clenshaw and Curtis 1960; Trefethen 2008, Is Gauss quadrature better than Clenshaw–Curtis?
    """
    at, orders = np.arange(steps + 1), np.arange(1, steps // 2 + 1)
    halves = np.where(orders == steps // 2, 1.0, 2.0) / (4 * orders**2 - 1)
    weights = (1 - np.cos(2 * np.pi * np.outer(at, orders) / steps) @ halves) / steps
    weights[[0, -1]] /= 2
    return ((1 - np.cos(np.pi * at / steps)) / 2).tolist(), weights.tolist()


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

    known: dict[float, tuple[np.ndarray, float]] = {}

    def differentiate(alphas: list[float]) -> None:
        """Keep (x − x′) · ∂m/∂x per position, and m, at points that are not known yet."""
        new = [alpha for alpha in dict.fromkeys(alphas) if alpha not in known]
        for at in range(0, len(new), many):
            part = new[at : at + many]
            rows = torch.cat([far + alpha * (near - far) for alpha in part])
            found = measure_gradients(
                runner, rows, [pair.answer_ids] * len(part), [pair.foil_ids] * len(part), (Kind.RESID,), calls
            )
            products = ((near - far) * found.gradients[Kind.RESID, 0]).sum(-1).double().numpy()
            known.update(zip(part, zip(products, found.metric.tolist(), strict=True), strict=True))

    while True:
        points, weights = rule(steps)
        differentiate([0.0, 1.0, *points])
        change = known[1.0][1] - known[0.0][1]
        relevance = np.array(weights) @ np.stack([known[alpha][0] for alpha in points])
        missed = abs(float(relevance.sum()) - change) / max(abs(change), 1e-9)
        is_last = 2 * steps > most
        if missed <= (COMPLETE if is_last else aim):
            return TokenGradients(relevance.astype(np.float32), change, missed, steps)
        if is_last:
            raise NotMeasured(
                "control_failed",
                f"with {steps} steps the sum of integrated gradients differs by {missed:.0%} from the change of {change:.2f} logits, "
                f"at most {COMPLETE:.0%} allowed; use more steps or a closer baseline.",
            )
        steps *= 2
