"""Unedited runs of inputs that begin alike: what an input shares with the first of its group is computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from audit_core.engine.capture import Capture, Turn, embed_tokens
from audit_core.engine.plan import Chunk, count_tokens, cut_waves
from audit_core.engine.replay import BlockCall, Prefix, call_block
from audit_core.engine.sites import HookedModel
from audit_core.prompts.answers import Tokens
from audit_core.subject import Geometry

if TYPE_CHECKING:
    import torch

SHORTEST = 0.75
"""Inputs run together if the shortest has this part of the longest one's positions: the others are padded to its length."""


def group_inputs(rows: Sequence[Tokens], *, can_pad: bool) -> Iterator[list[int]]:
    """Indices of inputs that run together, in their order; of one length unless they may be padded."""
    by_length: dict[int, list[int]] = {}
    for at, row in enumerate(rows):
        by_length.setdefault(len(row), []).append(at)
    lengths = sorted(by_length, reverse=True)
    while lengths:
        fewest = lengths[0] * (SHORTEST if can_pad else 1)
        together = [length for length in lengths if length >= fewest]
        lengths = lengths[len(together) :]
        yield sorted(at for length in together for at in by_length[length])


def plan_inputs(rows: Sequence[Tokens], geometry: Geometry, *, can_share_prefix: bool) -> tuple[Chunk, ...]:
    """Waves over a group of inputs; each starts at the first position where any of its inputs differs from the first.

    Args:
        rows: the first is not in a wave, as it is captured whole.
    """
    length = max(map(len, rows))
    entries = [(at, count_shared(rows[0], row) if can_share_prefix else 0, 0) for at, row in enumerate(rows[1:], 1)]
    return cut_waves(
        entries, n_prompts=1, length=length, room=count_tokens(geometry, length), n_layers=geometry.n_layers
    )


def count_shared(first: Tokens, other: Tokens) -> int:
    """Number of positions before the first difference; the last position of each is always computed."""
    same = (at for at, (a, b) in enumerate(zip(first, other)) if a != b)
    fewest = min(len(first), len(other)) - 1
    return min(next(same, fewest), fewest)


def run_inputs(
    model: HookedModel, calls: Sequence[BlockCall], first: Capture, rows: Sequence[Tokens], *, start: int, turn: Turn
) -> torch.Tensor:
    """Final states of inputs that equal the captured one before `start`.

    Args:
        calls: of blocks at the length of the longest input of the group, to which the others are padded at their end: no
            position of a causal decoder sees what follows it.
        first: one captured input; its keys and values are taken before `start`.

    Returns:
        Input of the readout at each input's own last position, shape (row, d_model).
    """
    import torch

    length = calls[0].n_positions
    tokens = torch.tensor([(*row, *[row[-1]] * (length - len(row))) for row in rows])
    with turn():
        states = embed_tokens(model, tokens)[:, start:]
    for layer, call in enumerate(calls):
        cache = Prefix([(first.keys_values[layer], len(rows))], start) if start else None
        with turn():
            states = call_block(model, layer, states, call, start=start, cache=cache)
    return states[torch.arange(len(rows)), torch.tensor([len(row) - 1 - start for row in rows])]
