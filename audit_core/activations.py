"""Capabilities that read activations: the residual stream, and what lenses show of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Floats, Progress, no_progress, read_only

StreamChange = Callable[[Floats], Floats]


@dataclass(frozen=True, eq=False)
class TokenReading:
    """What one pass over a text shows at each of its tokens."""

    stream: Floats
    """Residual stream entering the layer; shape (pos, d_model)."""
    entropy: Floats
    """Of the distribution of the next token, in nats; shape (pos,)."""
    margin: Floats
    """Log-probability of the likeliest next token minus that of the second, in nats; shape (pos,)."""
    surprise: Floats
    """Minus the log-probability that this token had, in nats; shape (pos,); NaN at the first."""

    def __post_init__(self) -> None:
        for array in (self.stream, self.entropy, self.margin, self.surprise):
            read_only(array)


@runtime_checkable
class Activations(Protocol):
    """Capability: the residual stream of plain inputs can be read, for probes and sparse dictionaries."""

    def read_residuals(
        self,
        rows: Sequence[Tokens],
        positions: Sequence[int],
        layers: Sequence[int],
        *,
        on_progress: Progress = no_progress,
    ) -> Floats:
        """Residual stream entering these layers, at one position of each input; shape (layer, row, d_model).

        Args:
            positions: position of each input; negative ones count from its end.
        """

    def read_stream(self, rows: Sequence[Tokens], layer: int, *, on_progress: Progress = no_progress) -> list[Floats]:
        """Residual stream entering a layer, at every position of each input; each of shape (pos, d_model)."""

    def read_tokens(
        self, rows: Sequence[Tokens], layer: int, *, on_progress: Progress = no_progress
    ) -> list[TokenReading]:
        """Residual stream entering a layer, beside what the output says, at every position of each input."""

    def measure_losses(self, rows: Sequence[Tokens], layer: int, change: StreamChange | None) -> Floats:
        """Mean loss of the next token of each input, in nats; shape (row,).

        Args:
            change: of the stream entering the layer, after the first position, (token, d_model) → the same; None: unedited.
        """


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen."""

    n_tokens: int
    temperature: float
    """0: the likeliest token."""
    seed: int
    draws: tuple[int, ...]
    """Number of each input's noise: inputs with the same number are drawn with the same noise."""


@dataclass(frozen=True, eq=False)
class Written:
    """What a model wrote after some inputs."""

    ids: NDArray[np.int64]
    """Shape (row, token)."""
    first: Floats
    """Log-probability of each set of watched tokens at the first written token, in nats; shape (row, set)."""
    apart: float
    """Check: largest difference, in logits, between the last token as it was written and one pass over the whole text."""
    texts: tuple[str, ...] = ()
    """The written tokens as text, of each input."""


@dataclass(frozen=True, eq=False)
class Shift:
    """How far the next-token distributions of a text move; means over its tokens after the first."""

    kl: Floats
    """Divergence of the changed distribution from the model's own (Kullback–Leibler), in nats; shape (row,)."""
    largest: Floats
    """Largest change of a logit; shape (row,)."""


@runtime_checkable
class Steerable(Protocol):
    """Capability: a vector can be added to the residual stream while the model writes."""

    def write_steered(
        self,
        rows: Sequence[Tokens],
        layer: int,
        steps: Floats | None,
        sampling: Sampling,
        watched: Sequence[Sequence[int]],
        *,
        on_progress: Progress = no_progress,
    ) -> Written:
        """Continue each input with its vector added at every position after the first, written tokens included.

        Args:
            steps: shape (row, d_model); None: nothing is added, and no hook is set.
            watched: sets of token ids whose probability at the first written token is read.
        """

    def measure_shift(self, row: Tokens, changed: Sequence[Tokens], layer: int, steps: Floats | None) -> Shift:
        """How far the distributions after a text's tokens move, in each of some changed inputs.

        Args:
            changed: inputs that end in the tokens of `row` after its first.
            steps: shape (changed, d_model); as in `write_steered`.
        """


@dataclass(frozen=True, eq=False)
class LensReading:
    """Logit differences read from inside a model on the clean runs of some prompts, at the answer position."""

    stream: Floats
    """Of the residual stream entering each layer, and after the last one; shape (layer + 1, prompt)."""
    heads: Floats | None
    """What each head writes to the logit difference; shape (layer, head, prompt); None where parts do not add up to it."""
    mlps: Floats | None
    """What each MLP writes; shape (layer, prompt)."""
    rest: Floats | None
    """What embeddings and biases write; shape (prompt,). Heads, MLPs and this add up to the last row of `stream`."""
    why_no_parts: str
    """Why parts were not read; empty if they were."""
    off: float | None = None
    """Largest difference between that sum and the logit difference."""


@runtime_checkable
class Lenses(Protocol):
    """Capability: activations can be read through the final norm and the unembedding."""

    def explain_no_lenses(self) -> str:
        """Why activations of this model cannot be read so; empty if they can."""

    def read_lenses(self, prompts: TokenisedPrompts, *, on_progress: Progress = no_progress) -> LensReading:
        """Logit lens and direct logit attribution on the clean runs."""

    def read_jacobian_lens(
        self, prompts: TokenisedPrompts, texts: TokenisedPrompts, *, on_progress: Progress = no_progress
    ) -> Floats:
        """Logit difference that the Jacobian lens reads on the clean runs: the stream entering each layer, carried to the end by
        the mean derivative over the clean side of some texts; shape (layer + 1, prompt). NaN at the first layer, which has none.

        Raises:
            NotMeasured: no Jacobian lens can be fitted to this model.
        """
