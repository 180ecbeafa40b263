"""Unedited runs of plain inputs of any lengths: the logits after each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from audit_core.engine.device import to_numpy
from audit_core.engine.input_tree import run_groups
from audit_core.engine.plan import count_tokens
from audit_core.prompts.answers import Tokens
from audit_core.subject import Floats

if TYPE_CHECKING:
    import torch

    from audit_core.engine.runner import WaveRunner


def read_inputs(runner: WaveRunner, rows: Sequence[Tokens]) -> Floats:
    """Logits of the vocabulary after each input; see `Inputs.read_inputs`."""
    logits = np.empty((len(rows), runner.geometry.n_vocabulary), np.float32)
    is_shared = runner.shares_prefix and not runner.fallback
    for where, ends in run_groups(runner, rows) if is_shared else _run_whole(runner, rows):
        with runner.turn():
            logits[where] = to_numpy(runner.readout.read_all(ends))
    return logits


def _run_whole(runner: WaveRunner, rows: Sequence[Tokens]) -> Iterator[tuple[list[int], torch.Tensor]]:
    """As `run_groups`, for models whose inputs cannot continue from another: each is run from its first token."""
    by_length: dict[int, list[int]] = {}
    for at, row in enumerate(rows):
        by_length.setdefault(len(row), []).append(at)
    for length, members in by_length.items():
        size = max(1, count_tokens(runner.geometry, length) // length)
        for start in range(0, len(members), size):
            where = members[start : start + size]
            yield where, runner.capture([rows[at] for at in where], ()).ends
