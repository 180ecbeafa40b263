"""Unedited runs of inputs that begin alike: what an input shares with the first of its group is computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from audit_core.engine.capture import Capture, Turn, embed_tokens
from audit_core.engine.forward import capture_forward
from audit_core.engine.plan import PASS_TOKENS, Chunk, count_tokens, cut_waves
from audit_core.engine.replay import BlockCall, Prefix, call_block
from audit_core.engine.sites import HookedModel
from audit_core.prompts.answers import Tokens
from audit_core.subject import Floats, Geometry

if TYPE_CHECKING:
    import torch

    from audit_core.engine.runner import WaveRunner

_MOST_LENGTHS = 6
"""Lengths in a group, at most: it bounds the plans that are compared."""


def read_inputs(runner: WaveRunner, rows: Sequence[Tokens]) -> Floats:
    """Logits of the vocabulary after each input; see `Documents.read_inputs`."""
    import torch

    logits = np.empty((len(rows), runner.geometry.n_vocabulary), np.float32)

    def read(ends: torch.Tensor, where: Sequence[int]) -> None:
        with runner.turn():
            logits[where] = runner.readout.read_all(ends).numpy()

    shares = runner.shares_prefix and not runner.fallback
    for where in group_inputs(rows, runner.geometry, can_pad=not runner.fallback, can_share_prefix=shares):
        mine = [rows[at] for at in where]
        first = runner.capture(mine[:1], ())
        read(first.ends, where[:1])
        calls = () if runner.fallback else runner.find_calls(max(map(len, mine)))
        for chunk in plan_inputs(mine, runner.geometry, can_share_prefix=runner.shares_prefix):
            chosen = [mine[at] for at in chunk.variants]
            if runner.fallback:
                ends = capture_forward(runner.model, torch.tensor(chosen), (), runner.turn).ends
            else:
                ends = run_inputs(runner.model, calls, first, chosen, start=chunk.start, turn=runner.turn)
            read(ends, [where[at] for at in chunk.variants])
    return logits


def group_inputs(
    rows: Sequence[Tokens], geometry: Geometry, *, can_pad: bool, can_share_prefix: bool
) -> Iterator[list[int]]:
    """Indices of inputs that run together, in their order; of one length unless they may be padded.

    Padding computes positions that nothing reads, and each group more costs passes: of all groups of neighbouring lengths, those
    with the least work.
    """
    by_length: dict[int, list[int]] = {}
    for at, row in enumerate(rows):
        by_length.setdefault(len(row), []).append(at)
    lengths = sorted(by_length, reverse=True)
    n, most = len(lengths), _MOST_LENGTHS if can_pad else 1

    def join(start: int, end: int) -> list[int]:
        return sorted(at for length in lengths[start:end] for at in by_length[length])

    # Where the group that begins at a length ends, and the least work from there on.
    ends, least = [0] * n, [0] * (n + 1)
    for start in reversed(range(n)):
        least[start], ends[start] = min(
            (_count_tokens([rows[at] for at in join(start, end)], geometry, can_share_prefix) + least[end], end)
            for end in range(start + 1, min(n, start + most) + 1)
        )
    start = 0
    while start < n:
        yield join(start, ends[start])
        start = ends[start]


def _count_tokens(rows: Sequence[Tokens], geometry: Geometry, can_share_prefix: bool) -> int:
    """Positions that a group computes, with its passes in positions."""
    chunks = plan_inputs(rows, geometry, can_share_prefix=can_share_prefix)
    return len(rows[0]) + sum(chunk.work for chunk in chunks) // geometry.n_layers + PASS_TOKENS * (len(chunks) + 1)


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
