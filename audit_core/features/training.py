"""Training of a BatchTopK dictionary on activations, on the CPU, with bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audit_core.dictionaries.dictionary import Array, Dictionary
from audit_core.errors import NotMeasured, Refused
from audit_core.subject import Progress, no_progress

if TYPE_CHECKING:
    import torch

MAX_FLOATS = 400_000_000
"""Activations kept, as 4-byte numbers: 1.6 GB."""
_OUTLIER = 10.0
"""Multiples of the median norm above which a token is left out: the first token of a text has 142 times the median."""
_AUXILIARY = 1 / 32
"""Weight of the loss of silent features. Source: Gao et al. 2024, arXiv:2406.04093."""
_SILENT_STEPS = 100
"""Steps without being active after which a feature is trained on the error."""
_DECAY = 0.8
"""Share of the steps at the full learning rate; linear to zero after it."""


@dataclass(frozen=True)
class Recipe:
    """How a dictionary is trained."""

    width: int = 1024
    active: int = 32
    """Features active per token, averaged over a batch."""
    steps: int = 2000
    batch: int = 1024
    rate: float = 1e-3
    seed: int = 0

    def check(self, n_tokens: int, d_model: int) -> None:
        """Refuse numbers outside their bounds.

        Raises:
            Refused: with the bound.
        """
        bounds = (
            ("features", self.width, 2, 65_536), ("active features", self.active, 1, self.width),
            ("steps", self.steps, 1, 1_000_000), ("tokens in a batch", self.batch, 2, 65_536),
            ("numbers of activations", n_tokens * d_model, 2 * d_model, MAX_FLOATS),
        )  # fmt: skip
        for name, value, low, high in bounds:
            if not low <= value <= high:
                raise Refused(f"{value:,} {name}.", wanted=f"{low:,} to {high:,}.", remedy="change this number.")
        if not 0 < self.rate < 1:
            raise Refused(f"Learning rate {self.rate}.", wanted="between 0 and 1.", remedy="change this number.")


def train_dictionary(x: NDArray, layer: int, recipe: Recipe, *, on_progress: Progress = no_progress) -> Dictionary:
    """Train a BatchTopK dictionary.

    Args:
        x: activations, shape (token, d_model); tokens with an outlying norm are left out.
        on_progress: called every 20 steps; may raise `Cancelled`.

    Raises:
        Refused: a number outside its bounds.
        NotMeasured: the activations do not vary, or the training diverged.

    Source: Bussmann, Leask and Nanda 2024, arXiv:2412.06410 (BatchTopK); auxiliary loss of Gao et al. 2024, arXiv:2406.04093.
    """
    import torch

    recipe.check(*x.shape)
    norms = np.linalg.norm(x, axis=1)
    longest = float(_OUTLIER * np.median(norms))
    kept = x[norms <= longest].astype(np.float32)
    centre = kept.mean(0)
    scale = float(np.sqrt(np.square(kept - centre).sum(1).mean() / x.shape[1]))
    if not scale > 1e-8:
        raise NotMeasured("control_failed", "the activations do not vary, so there is nothing to encode.")
    # The device of the model is the processor; its threads are those that the caller has set.
    with torch.inference_mode(False), torch.enable_grad():
        trained = _Trainer(torch.from_numpy((kept - centre) / scale), recipe).run(on_progress)
    encoder, bias, decoder, threshold = trained
    if not all(np.isfinite(array).all() for array in trained[:3]) or not np.isfinite(threshold):
        raise NotMeasured("control_failed", "the training diverged; choose a smaller learning rate.")
    return Dictionary(
        layer, encoder, bias * scale - encoder @ centre, np.full(len(encoder), threshold * scale, np.float32),
        decoder, centre + 0.0, longest,
    )  # fmt: skip


class _Trainer:
    """Mutable state of one training; activations centred, of unit variance per dimension on average."""

    def __init__(self, x: torch.Tensor, recipe: Recipe) -> None:
        import torch

        self.x, self.recipe = x, recipe
        self.draw = torch.Generator().manual_seed(recipe.seed)
        start = torch.randn(recipe.width, x.shape[1], generator=self.draw)
        start /= start.norm(dim=1, keepdim=True)
        self.decoder, self.encoder = start.clone().requires_grad_(), start.clone().requires_grad_()
        self.bias = torch.zeros(recipe.width, requires_grad=True)
        self.silent = torch.zeros(recipe.width, dtype=torch.long)
        self.threshold = 0.0

    def run(self, on_progress: Progress) -> tuple[Array, Array, Array, float]:
        import torch

        weights = [self.encoder, self.bias, self.decoder]
        adam = torch.optim.Adam(weights, lr=self.recipe.rate)
        n_full = _DECAY * self.recipe.steps
        for step in range(self.recipe.steps):
            for group in adam.param_groups:
                left = (self.recipe.steps - step) / max(1.0, self.recipe.steps - n_full)
                group["lr"] = self.recipe.rate * min(1.0, left)
            rows = torch.randint(len(self.x), (self.recipe.batch,), generator=self.draw)
            loss = self._measure(self.x[rows])
            adam.zero_grad()
            loss.backward()
            adam.step()
            with torch.no_grad():
                self.decoder /= self.decoder.norm(dim=1, keepdim=True).clamp_min(1e-8)
            if step % 20 == 19 or step + 1 == self.recipe.steps:
                on_progress(step + 1, self.recipe.steps)
        encoder, bias, decoder = (one.detach().numpy().copy() for one in weights)
        return encoder, bias, decoder, self.threshold

    def _measure(self, x: torch.Tensor) -> Any:
        import torch

        before = torch.relu(x @ self.encoder.T + self.bias)
        most = min(self.recipe.active * len(x), before.numel())
        limit = before.detach().flatten().topk(most).values[-1]
        values = torch.where(before >= limit, before, 0.0)
        # The inference threshold is the running mean of the smallest value that was kept.
        self.threshold = float(limit) if not self.threshold else 0.99 * self.threshold + 0.01 * float(limit)
        error = x - values @ self.decoder
        loss = error.square().sum(1).mean()
        self.silent = torch.where((values > 0).any(0), 0, self.silent + 1)
        silent = self.silent >= _SILENT_STEPS
        if not silent.any():
            return loss
        # Silent features explain what is left over, so that they find something to do.
        asleep = torch.where(silent, x @ self.encoder.T + self.bias, -torch.inf)
        n = min(x.shape[1] // 2, int(silent.sum()))
        top = asleep.topk(max(1, n), dim=1)
        rest = torch.zeros_like(before).scatter(1, top.indices, torch.relu(top.values)) @ self.decoder
        return loss + _AUXILIARY * (error.detach() - rest).square().sum(1).mean()
