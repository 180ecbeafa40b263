"""Integrated gradients of tokens, from a baseline embedding to the prompt's, with a completeness check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from audit_core.component import Kind
from audit_core.engine.gradients import GRADIENT_TOKENS, embed, get_runner, measure_gradients
from audit_core.errors import NotMeasured
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Floats, Subject, read_only

if TYPE_CHECKING:
    import torch

STEPS = 50
"""Initial steps of the midpoint rule (methods 2.12)."""
MOST_STEPS = 800
COMPLETE = 0.05
"""Maximum completeness error |Σ IG − ΔF| / |ΔF| (methods 2.12)."""


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
) -> TokenGradients:
    """IG_i = (x_i − x′_i) · ∫ ∂m/∂x_i along x′ + α (x − x′), by the midpoint rule, with steps doubled until complete.

    Args:
        baseline: start embeddings x′; shape (pos, d_model). The result depends on the choice of baseline.
        aim: completeness error at which steps are no longer doubled; up to `COMPLETE` is accepted at the most steps.

    Raises:
        NotMeasured: the sum still differs from the change at the maximum number of steps.
        Refused: this subject has no gradients.

    Source: Sundararajan, Taly and Yan 2017, arXiv:1703.01365.
    """
    import torch

    path = _Path(subject, pair, baseline)
    ends = path.differentiate([0.0, 1.0])[1]
    change = float(ends[1] - ends[0])
    while True:
        total = torch.zeros_like(path.near[0])
        for at in range(0, steps, path.most_rows):
            alphas = [(step + 0.5) / steps for step in range(at, min(steps, at + path.most_rows))]
            total += path.differentiate(alphas)[0].sum(0)
        relevance = ((path.near - path.far)[0] * total / steps).sum(-1)
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


def integrate_adaptively(
    subject: Subject, pair: TokenPair, baseline: Floats, *, most: int = MOST_STEPS, aim: float = 1e-3
) -> TokenGradients:
    """As `integrate_gradients`, with points where the path bends: parts that miss their own change are cut in two.

    The metric at both ends of a part says what its gradients must add up to, so that each part's error is known, and not only
    that of their sum. A norm whose input passes near zero bends a short piece of the path, which equal steps meet only by number.

    Args:
        most: points at which no more parts are cut.
        aim: what the sum may miss of the change. Errors of all parts without their signs may be `PARTS_MISS` of it.

    Raises:
        NotMeasured: at the most points the sum still misses more than `COMPLETE` of the change.
        Refused: this subject has no gradients.

    Source: Sundararajan, Taly and Yan 2017, arXiv:1703.01365; Clenshaw and Curtis 1960.
    """
    path = _Path(subject, pair, baseline)
    parts = [(at / FIRST_PARTS, (at + 1) / FIRST_PARTS) for at in range(FIRST_PARTS)]
    done: dict[tuple[float, float], tuple[np.ndarray, float]] = {}
    while True:
        path.require([low + place * (high - low) for low, high in parts for place in _PLACES])
        done |= {part: path.integrate(*part) for part in parts}
        change = path.read(1.0) - path.read(0.0)
        allowed = PARTS_MISS * max(abs(change), 1e-9)
        relevance = np.sum([product for product, _ in done.values()], axis=0)
        missed = abs(float(relevance.sum()) - change) / max(abs(change), 1e-9)
        if missed <= aim and sum(error for _, error in done.values()) <= allowed:
            return TokenGradients(relevance.astype(np.float32), change, missed, path.n_points)
        if path.n_points >= most:
            break
        # Each part with more than its share; the largest always, so that something is cut.
        worst = max(done, key=lambda part: done[part][1])
        cut = [part for part, (_, error) in done.items() if part == worst or error > allowed / len(done)]
        parts = [half for low, high in cut for half in ((low, (low + high) / 2), ((low + high) / 2, high))]
        for part in cut:
            del done[part]
    if missed > COMPLETE:
        raise NotMeasured(
            "control_failed",
            f"at {path.n_points} points the sum of integrated gradients differs by {missed:.0%} from the change of {change:.2f} logits, "
            f"at most {COMPLETE:.0%} allowed; use more points or a closer baseline.",
        )
    return TokenGradients(relevance.astype(np.float32), change, missed, path.n_points)


FIRST_PARTS = 2
PARTS_MISS = COMPLETE
"""Errors of the parts may cancel, so that a complete sum alone would say little of each token."""
_PLACES = tuple((1 - np.cos(np.pi * np.arange(5) / 4)) / 2)
_WEIGHTS = np.array([1 / 30, 4 / 15, 2 / 5, 4 / 15, 1 / 30])
"""Clenshaw–Curtis with five points, both ends among them, so that neighbouring parts share one."""


class _Path:
    """The straight path from a baseline to a prompt's embeddings: gradients and the metric on it, each point run once."""

    def __init__(self, subject: Subject, pair: TokenPair, baseline: Floats) -> None:
        import torch

        self.runner, self.pair = get_runner(subject), pair
        self.calls = self.runner.find_calls(len(pair.clean_ids))
        self.far, self.near = torch.from_numpy(np.array(baseline))[None], embed(self.runner, [pair.clean_ids])
        self.most_rows = max(1, GRADIENT_TOKENS // len(pair.clean_ids))
        self._known: dict[float, tuple[np.ndarray, float]] = {}

    @property
    def n_points(self) -> int:
        return len(self._known)

    def differentiate(self, alphas: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients, shape (point, pos, d_model), and the metric, shape (point,)."""
        import torch

        rows = torch.cat([self.far + alpha * (self.near - self.far) for alpha in alphas])
        answers, foils = [self.pair.answer_ids] * len(alphas), [self.pair.foil_ids] * len(alphas)
        found = measure_gradients(self.runner, rows, answers, foils, (Kind.RESID,), self.calls)
        return found.gradients[Kind.RESID, 0], found.metric

    def require(self, alphas: Sequence[float]) -> None:
        """Run the points that are not known yet, and keep (x − x′) · ∂m/∂x per position."""
        new = [alpha for alpha in dict.fromkeys(map(float, alphas)) if alpha not in self._known]
        for at in range(0, len(new), self.most_rows):
            part = new[at : at + self.most_rows]
            gradients, metric = self.differentiate(part)
            products = ((self.near - self.far) * gradients).sum(-1).double().numpy()
            self._known |= zip(part, zip(products, metric.tolist(), strict=True), strict=True)

    def read(self, alpha: float) -> float:
        """The metric at a known point."""
        return self._known[alpha][1]

    def integrate(self, low: float, high: float) -> tuple[np.ndarray, float]:
        """Relevance per position of one part, and by how much its sum misses the part's own change."""
        points = [float(low + place * (high - low)) for place in _PLACES]
        product = (high - low) * (_WEIGHTS @ np.stack([self._known[point][0] for point in points]))
        return product, abs(float(product.sum()) - (self.read(points[-1]) - self.read(points[0])))
