"""Unedited runs of inputs that begin alike: what an input shares with the first of its length is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from audit_core.engine.capture import Capture, Turn, embed_tokens
from audit_core.engine.plan import Chunk, count_tokens, cut_waves
from audit_core.engine.replay import BlockCall, Prefix, call_block
from audit_core.engine.sites import HookedModel
from audit_core.prompts.answers import Tokens
from audit_core.subject import Geometry

if TYPE_CHECKING:
    import torch


def plan_inputs(rows: Sequence[Tokens], geometry: Geometry, *, can_share_prefix: bool) -> tuple[Chunk, ...]:
    """Waves over inputs of one length; each starts at the first position where any of its inputs differs from the first.

    Args:
        rows: the first is not in a wave, as it is captured whole.
    """
    first, length = rows[0], len(rows[0])
    entries = [(at, count_shared(first, row) if can_share_prefix else 0, 0) for at, row in enumerate(rows[1:], 1)]
    return cut_waves(
        entries, n_prompts=1, length=length, room=count_tokens(geometry, length), n_layers=geometry.n_layers
    )  # fmt: skip


def count_shared(first: Tokens, other: Tokens) -> int:
    """Number of positions before the first difference; the last position is always computed."""
    same = (at for at, (a, b) in enumerate(zip(first, other, strict=True)) if a != b)
    return min(next(same, len(first)), len(first) - 1)


def run_inputs(
    model: HookedModel, calls: Sequence[BlockCall], first: Capture, tokens: torch.Tensor, *, start: int, turn: Turn
) -> torch.Tensor:
    """Final states of inputs that equal the captured one before `start`.

    Args:
        first: one captured input; its keys and values are taken before `start`.
        tokens: shape (row, pos).

    Returns:
        Input of the readout, shape (row, d_model).
    """
    with turn():
        rows = embed_tokens(model, tokens)[:, start:]
    for layer, call in enumerate(calls):
        cache = Prefix([(first.keys_values[layer], len(tokens))], start) if start else None
        with turn():
            rows = call_block(model, layer, rows, call, start=start, cache=cache)
    return rows[:, -1]
