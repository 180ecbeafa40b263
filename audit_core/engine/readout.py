"""Readout: logits from the final residual stream, of the whole vocabulary or of selected tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Floats, Logits

if TYPE_CHECKING:
    import torch
    from transformer_lens.model_bridge import TransformerBridge


def join_tokens(ids: Sequence[Tokens], read: Callable[[list[int]], torch.Tensor]) -> torch.Tensor:
    """Logits of sets of tokens, from a function that reads one token per prompt; shape (variant, prompt)."""
    import torch

    width = max(map(len, ids))
    first = read([tokens[0] for tokens in ids])
    if width == 1:
        return first
    columns = [first]
    for at in range(1, width):
        column = read([tokens[min(at, len(tokens) - 1)] for tokens in ids])
        # Smaller sets have no token in this column.
        columns.append(column.masked_fill(_mark_short(ids, at, column), -torch.inf))
    return torch.stack(columns).logsumexp(0)


def _mark_short(ids: Sequence[Tokens], at: int, column: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.tensor([at >= len(tokens) for tokens in ids], device=column.device)


class Readout:
    """Final norm, unembedding and soft cap of one model.

    A sweep over 300 components reads two logits per run; reading the whole vocabulary would take a tenth of its work.
    """

    def __init__(self, bridge: TransformerBridge) -> None:
        self.bridge = bridge
        self._cap = getattr(bridge.original_model.config, "final_logit_softcapping", None)

    def read_all(self, residual: torch.Tensor) -> torch.Tensor:
        """Logits of the vocabulary, shape (..., d_model) → (..., vocabulary)."""
        flat = residual.reshape(-1, 1, residual.shape[-1])
        logits = self.bridge.unembed(self.bridge.ln_final(flat))[:, 0]
        return self._soften(logits).reshape(*residual.shape[:-1], -1).float()

    def read_tokens(self, residual: torch.Tensor, ids: Sequence[Tokens]) -> torch.Tensor:
        """Logit of one set of tokens per prompt, shape (variant, prompt, d_model) → (variant, prompt).

        A set's logit is log Σ exp over its tokens: the difference of two is the log odds of one set against the other.
        """
        flat = residual.reshape(-1, 1, residual.shape[-1])
        final = self.bridge.ln_final(flat)[:, 0].reshape(residual.shape)
        weight, bias = self.output_weights()

        def read(tokens: list[int]) -> torch.Tensor:
            logits = (final * weight[tokens]).sum(-1)
            return self._soften(logits if bias is None else logits + bias[tokens]).float()

        return join_tokens(ids, read)

    def measure_norms(self, residual: torch.Tensor) -> torch.Tensor:
        """Norm of the residual stream, shape (..., d_model) → (...)."""
        return residual.float().norm(dim=-1)

    def output_weights(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Shapes (vocabulary, d_model) and (vocabulary,)."""
        layer: Any = self.bridge.unembed.original_component
        return layer.weight, getattr(layer, "bias", None)

    def _soften(self, logits: torch.Tensor) -> torch.Tensor:
        return self._cap * (logits / self._cap).tanh() if self._cap else logits


def read_sets(logits: Floats, ids: Sequence[Tokens]) -> Floats:
    """log Σ exp over one set of tokens per prompt, shape (variant, prompt, vocabulary) → (variant, prompt)."""
    return np.stack(
        [np.logaddexp.reduce(logits[:, at, list(tokens)], axis=-1) for at, tokens in enumerate(ids)], axis=1
    )


class LogitTable:
    """Table of logits by intervention and prompt, filled chunk by chunk."""

    def __init__(self, prompts: TokenisedPrompts, n_runs: int, n_vocabulary: int) -> None:
        self.prompts = prompts
        shape = (n_runs, len(prompts))
        # NaN until filled, so that missing entries are detected.
        self.answer, self.foil = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
        self.vocabulary = np.full((*shape, n_vocabulary), np.nan, np.float32) if n_vocabulary else None
        self.norms: Floats | None = None

    def list_ids(self, prompts: Sequence[int]) -> tuple[list[Tokens], list[Tokens]]:
        """Answer and foil tokens of some prompts."""
        pairs = [self.prompts.pairs[i] for i in prompts]
        return [pair.answer_ids for pair in pairs], [pair.foil_ids for pair in pairs]

    def put(self, answer: Floats, foil: Floats, variants: Sequence[int], prompts: Sequence[int]) -> None:
        """Two logits each; shapes (variant, prompt)."""
        rows = np.ix_(variants, prompts)
        self.answer[rows], self.foil[rows] = answer, foil

    def put_all(self, logits: Floats, variants: Sequence[int], prompts: Sequence[int]) -> None:
        """All logits; shape (variant, prompt, vocabulary)."""
        assert self.vocabulary is not None
        self.vocabulary[np.ix_(variants, prompts)] = logits
        answer, foil = (read_sets(logits, ids) for ids in self.list_ids(prompts))
        self.put(answer, foil, variants, prompts)

    def put_norms(self, norms: Floats, variants: Sequence[int], prompts: Sequence[int]) -> None:
        """Norms of the residual stream; shape (variant, prompt)."""
        if self.norms is None:
            self.norms = np.full_like(self.answer, np.nan)
        self.norms[np.ix_(variants, prompts)] = norms

    def finish(self, edits_applied: int) -> Logits:
        """The whole table, read-only."""
        return Logits(self.answer, self.foil, self.vocabulary, edits_applied, self.norms)
