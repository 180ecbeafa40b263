"""Integrated gradients of tokens, from a baseline embedding to the prompt's, with a completeness check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from audit_core.component import Kind
from audit_core.engine.device import from_numpy, to_numpy
from audit_core.engine.gradients import GRADIENT_TOKENS, embed, get_runner, measure_gradients
from audit_core.errors import NotMeasured
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Floats, Progress, Subject, no_progress, read_only

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
            return TokenGradients(to_numpy(relevance).astype(np.float32), change, missed, steps)
        if is_last:
            raise NotMeasured(
                "control_failed",
                f"with {steps} steps the sum of integrated gradients differs by {missed:.0%} from the change of {change:.2f} logits, "
                f"at most {COMPLETE:.0%} allowed; use more steps or a closer baseline.",
            )
        steps *= 2


def integrate_adaptively(
    subject: Subject,
    pairs: Sequence[TokenPair],
    baselines: Sequence[Floats],
    *,
    most: int = MOST_STEPS,
    aim: float = 1e-3,
    on_progress: Progress = no_progress,
) -> list[TokenGradients | NotMeasured]:
    """As `integrate_gradients`, with points where each path bends: parts that miss their own change are cut in two.

    The metric at both ends of a part says what its gradients must add up to, so that each part's error is known, and not only
    that of their sum. A norm whose input passes near zero bends a short piece of the path, which equal steps meet only by number.
    Points of several prompts share a pass; what one prompt gets does not depend on the others, but for rounding.

    Args:
        baselines: per prompt, start embeddings, shape (pos, d_model).
        most: points of a prompt at which no more parts are cut.
        aim: what the sum may miss of the change. Errors of all parts without their signs may be `PARTS_MISS` of it.

    Returns:
        Per prompt; an error where at the most points the sum still misses more than `COMPLETE` of the change.

    Raises:
        Refused: this subject has no gradients.

    Source: Sundararajan, Taly and Yan 2017, arXiv:1703.01365; Clenshaw and Curtis 1960.
    """
    cuts = [_Cuts(_Path(subject, pair, base), most, aim) for pair, base in zip(pairs, baselines, strict=True)]
    while active := [cut for cut in cuts if cut.found is None]:
        _run_points([(cut.path, alpha) for cut in active for alpha in cut.list_points()])
        for cut in active:
            cut.read()
        on_progress(sum(cut.found is not None for cut in cuts), len(cuts))
    return [cut.found for cut in cuts if cut.found is not None]


class _Cuts:
    """One path in parts: those that miss too much of their own change are cut in two, until the whole is known."""

    def __init__(self, path: _Path, most: int, aim: float) -> None:
        self.path, self.most, self.aim = path, most, aim
        self.found: TokenGradients | NotMeasured | None = None
        self._parts = [(at / FIRST_PARTS, (at + 1) / FIRST_PARTS) for at in range(FIRST_PARTS)]
        self._done: dict[tuple[float, float], tuple[np.ndarray, float]] = {}

    def list_points(self) -> list[float]:
        """Points that the new parts need and that are not known yet."""
        return self.path.find_unknown([low + place * (high - low) for low, high in self._parts for place in _PLACES])

    def read(self) -> None:
        """Take the new parts' points; then end, or cut parts in two."""
        path, done = self.path, self._done
        done |= {part: path.integrate(*part) for part in self._parts}
        change = path.read(1.0) - path.read(0.0)
        allowed = PARTS_MISS * max(abs(change), 1e-9)
        relevance = np.sum([product for product, _ in done.values()], axis=0)
        missed = abs(float(relevance.sum()) - change) / max(abs(change), 1e-9)
        is_complete = missed <= self.aim and sum(error for _, error in done.values()) <= allowed
        if is_complete or (path.n_points >= self.most and missed <= COMPLETE):
            self.found = TokenGradients(relevance.astype(np.float32), change, missed, path.n_points)
        elif path.n_points >= self.most:
            self.found = NotMeasured(
                "control_failed",
                f"at {path.n_points} points the sum of integrated gradients differs by {missed:.0%} from the change of "
                f"{change:.2f} logits, at most {COMPLETE:.0%} allowed; use more points or a closer baseline.",
            )
        else:
            self._cut(allowed)

    def _cut(self, allowed: float) -> None:
        # Each part with more than its share; the largest always, so that something is cut.
        done = self._done
        worst = max(done, key=lambda part: done[part][1])
        cut = [part for part, (_, error) in done.items() if part == worst or error > allowed / len(done)]
        self._parts = [
            half for low, high in cut for half in ((low, (low + high) / 2), ((low + high) / 2, high))
        ]  # fmt: skip
        for part in cut:
            del done[part]


def _run_points(asked: Sequence[tuple[_Path, float]]) -> None:
    """Run points of several paths, those of one length in passes as full as memory allows."""
    import torch

    by_length: dict[int, list[tuple[_Path, float]]] = {}
    for path, alpha in asked:
        by_length.setdefault(len(path.pair.clean_ids), []).append((path, alpha))
    for points in by_length.values():
        size = points[0][0].most_rows
        for at in range(0, len(points), size):
            part = points[at : at + size]
            first = part[0][0]
            rows = torch.cat([path.place(alpha) for path, alpha in part])
            answers, foils = [path.pair.answer_ids for path, _ in part], [path.pair.foil_ids for path, _ in part]
            found = measure_gradients(first.runner, rows, answers, foils, (Kind.RESID,), first.calls)
            gradients = found.gradients[Kind.RESID, 0]
            for row, (path, alpha) in enumerate(part):
                path.keep(alpha, gradients[row], float(found.metric[row]))


FIRST_PARTS = 2
PARTS_MISS = COMPLETE
"""Errors of the parts may cancel, so that a complete sum alone would say little of each token."""
_PLACES = tuple((1 - np.cos(np.pi * np.arange(5) / 4)) / 2)
_WEIGHTS = np.array([1 / 30, 4 / 15, 2 / 5, 4 / 15, 1 / 30])
"""Clenshaw–Curtis with five points, both ends among them, so that neighbouring parts share one."""


class _Path:
    """The straight path from a baseline to a prompt's embeddings: gradients and the metric on it, each point run once."""

    def __init__(self, subject: Subject, pair: TokenPair, baseline: Floats) -> None:

        self.runner, self.pair = get_runner(subject), pair
        self.calls = self.runner.find_calls(len(pair.clean_ids))
        self.near = embed(self.runner, [pair.clean_ids])
        self.far = from_numpy(np.array(baseline), self.near.device)[None]
        self.most_rows = max(1, GRADIENT_TOKENS // len(pair.clean_ids))
        self._known: dict[float, tuple[np.ndarray, float]] = {}

    @property
    def n_points(self) -> int:
        return len(self._known)

    def differentiate(self, alphas: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients, shape (point, pos, d_model), and the metric, shape (point,)."""
        import torch

        rows = torch.cat([self.place(alpha) for alpha in alphas])
        answers, foils = [self.pair.answer_ids] * len(alphas), [self.pair.foil_ids] * len(alphas)
        found = measure_gradients(self.runner, rows, answers, foils, (Kind.RESID,), self.calls)
        return found.gradients[Kind.RESID, 0], found.metric

    def place(self, alpha: float) -> torch.Tensor:
        """Embeddings at a point; shape (1, pos, d_model)."""
        return self.far + alpha * (self.near - self.far)

    def find_unknown(self, alphas: Sequence[float]) -> list[float]:
        """Points that were not run yet, each once."""
        return [alpha for alpha in dict.fromkeys(map(float, alphas)) if alpha not in self._known]

    def keep(self, alpha: float, gradient: torch.Tensor, metric: float) -> None:
        """Keep (x − x′) · ∂m/∂x per position of a point, and the metric there; gradient of shape (pos, d_model)."""
        self._known[alpha] = (to_numpy(((self.near - self.far)[0] * gradient).sum(-1)).astype(np.float64), metric)

    def read(self, alpha: float) -> float:
        """The metric at a known point."""
        return self._known[alpha][1]

    def integrate(self, low: float, high: float) -> tuple[np.ndarray, float]:
        """Relevance per position of one part, and by how much its sum misses the part's own change."""
        points = [float(low + place * (high - low)) for place in _PLACES]
        product = (high - low) * (_WEIGHTS @ np.stack([self._known[point][0] for point in points]))
        return product, abs(float(product.sum()) - (self.read(points[-1]) - self.read(points[0])))
