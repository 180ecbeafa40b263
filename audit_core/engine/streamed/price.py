"""Time and memory of a streamed run, predicted before it starts from a timing of one layer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from audit_core.engine.passes import Pass
from audit_core.engine.plan import count_tokens
from audit_core.engine.replay import call_block
from audit_core.engine.wave import Variant, compile_intervention
from audit_core.intervention import Intervention
from audit_core.prompts.prompt_set import TokenisedPrompts

if TYPE_CHECKING:
    from audit_core.engine.streamed.runner import StreamedRunner

_COPIES = 12
"""Float32 copies of the residual stream within a block, as in `plan`."""
_FEW = 2
_REPEATS = 2
_LEAST_TOKENS, _TIMED_PRODUCTS = 512, 20 * 10**9
"""Rows × positions of the longer timing: as many as a wave has, unless the layer is so large that this takes seconds."""


@dataclass(frozen=True)
class StreamPrice:
    """What a streamed run takes, as predicted."""

    seconds: float
    peak_bytes: int
    """Memory of this process at most: what it has now, and the rows and working memory of the run."""
    passes: int
    """Times that all layers are read."""
    read_bytes: int
    """Read from the files in all passes."""
    is_compute_bound: bool
    """Whether computing takes longer than reading, so that reading ahead hides most of the reading."""


@dataclass(frozen=True)
class LayerPace:
    """Seconds that one layer takes on this machine."""

    read_s: float
    call_s: float
    """Of one call of a block, however few tokens it has."""
    token_s: float
    """Per row × position, in addition."""

    def compute_s(self, tokens: int, calls: int) -> float:
        return calls * self.call_s + tokens * self.token_s


def predict_price(
    runner: StreamedRunner, runs: Sequence[tuple[TokenisedPrompts, Sequence[Intervention]]]
) -> StreamPrice:
    """Predict runs that follow one another; times one layer, which takes about as long as reading it a few times."""
    planned = []
    for prompts, interventions in runs:
        variants = [compile_intervention(i) for i in interventions]
        planned += [(one, variants) for one in runner.plan_passes(prompts, variants)[1]]
    longest = max(len(pair.clean_ids) for prompts, _ in runs for pair in prompts.pairs)
    pace = time_layer(runner, longest)
    seconds = computing = reading = 0.0
    for one, variants in planned:
        for tokens, calls in count_layers(one, variants, runner.geometry.n_layers):
            compute_s = pace.compute_s(tokens, calls)
            computing, reading = computing + compute_s, reading + pace.read_s
            seconds += max(compute_s, pace.read_s)
    rows = max(one.rows_bytes for one, _ in planned)
    widest = count_tokens(runner.geometry, longest) * _count_wide(runner, longest) * 4
    return StreamPrice(
        seconds,
        read_memory() + rows + widest,
        len(planned),
        len(planned) * runner.store.stored_bytes,
        computing > reading,
    )


def count_layers(one: Pass, variants: Sequence[Variant], n_layers: int) -> list[tuple[int, int]]:
    """Per layer, the rows × positions that a pass computes, and its calls of the block."""
    found = []
    for layer in range(n_layers):
        tokens = calls = 0
        for part in one.parts:
            tokens, calls = tokens + part.group.capture_work // n_layers, calls + 1
            for at in part.chunks:
                chunk = part.group.chunks[at]
                depth = sum(n_layers - variants[i].first_layer for i in chunk.variants)
                joined = sum(variants[i].first_layer <= layer for i in chunk.variants)
                tokens += joined * (chunk.work // depth)
                calls += joined > 0
        found.append((tokens, calls))
    return found


def time_layer(runner: StreamedRunner, length: int) -> LayerPace:
    """Time one layer of this model: reading it, and running it on few and on many rows of this length."""
    import torch

    call = runner.find_calls(length)[0]
    weights = runner.store.layer_bytes // 4
    tokens = min(count_tokens(runner.geometry, length), max(_LEAST_TOKENS, _TIMED_PRODUCTS // weights))
    most = max(_FEW * 4, tokens // length)
    took = {}
    with runner.turn():
        runner.store.load(0)
        read_s = runner.store.time_layer()
        for rows in (_FEW, most):
            residual = torch.randn(rows, length, runner.geometry.d_model)
            times = []
            for _ in range(1 + _REPEATS):
                start = time.perf_counter()
                call_block(runner.model, 0, residual, call, start=0, cache=None)
                times.append(time.perf_counter() - start)
            # The first call includes one-time costs.
            took[rows] = sum(times[1:]) / _REPEATS
    token_s = max(0.0, took[most] - took[_FEW]) / ((most - _FEW) * length)
    return LayerPace(read_s, max(0.0, took[_FEW] - _FEW * length * token_s), token_s)


def read_memory(field: str = "VmRSS") -> int:
    """Resident memory of this process in bytes; 0 where the system does not say.

    Args:
        field: "VmRSS" for now, "VmHWM" for the most so far.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), 0)


def _count_wide(runner: StreamedRunner, length: int) -> int:
    """Numbers per token within a block, as in `plan.count_tokens`."""
    shape = runner.geometry
    return _COPIES * shape.d_model + 3 * shape.n_neurons + 3 * shape.n_heads * length
