"""Runs over reference prompts for their means: prompts one after the other, or, where sums of all layers are large, in turns at each layer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from audit_core.component import Kind
from audit_core.engine.capture import CaptureSteps
from audit_core.engine.means import MeanSums, check_size, measure_sums
from audit_core.engine.memory import KEPT_BYTES
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.subject import Means, Progress

if TYPE_CHECKING:
    from audit_core.engine.runner import WaveRunner

Batches = Sequence[Sequence[TokenPair]]


def capture_means(
    runner: WaveRunner, reference: TokenisedPrompts, kinds: Collection[Kind], on_progress: Progress
) -> Means:
    """Mean activations over prompts; see `Subject.capture_means`."""
    check_size(reference, kinds, runner.geometry)
    sums, done = MeanSums(kinds, runner.model.n_layers), 0
    by_length: dict[int, list[list[TokenPair]]] = {}
    for where in runner.batch(reference):
        pairs = [reference.pairs[i] for i in where]
        by_length.setdefault(len(pairs[0].clean_ids), []).append(pairs)

    def advance(pairs: Sequence[TokenPair]) -> None:
        nonlocal done
        done += len(pairs)
        on_progress(done, len(reference))

    for length, batches in by_length.items():
        for pairs in batches:
            sums.count(pairs)
        if _takes_turns(runner, length, batches, sums.kinds):
            _add_in_turns(runner, sums, length, batches, advance)
        else:
            _add_one_by_one(runner, sums, batches, advance)
    return sums.finish()


def _takes_turns(runner: WaveRunner, length: int, batches: Batches, kinds: Collection[Kind]) -> bool:
    """Whether sums of all layers are too large to keep, and larger than the residual streams of all prompts."""
    n_templates = len({pair.prompt.template for pairs in batches for pair in pairs})
    summed = n_templates * measure_sums(kinds, runner.geometry, length)
    streams = 4 * 2 * sum(map(len, batches)) * length * runner.geometry.d_model
    return not runner.fallback and summed > KEPT_BYTES and streams < summed


def _add_one_by_one(
    runner: WaveRunner, sums: MeanSums, batches: Batches, advance: Callable[[Sequence[TokenPair]], None]
) -> None:
    """Each batch through all layers, so that no more than one is in memory, beside the sums of all layers."""
    for pairs in batches:
        for part in runner.capture_layers(_list_rows(pairs), sums.kinds):
            with runner.turn():
                sums.add(pairs, part, runner.model)
        advance(pairs)


def _add_in_turns(
    runner: WaveRunner, sums: MeanSums, length: int, batches: Batches, advance: Callable[[Sequence[TokenPair]], None]
) -> None:
    """Each layer on all batches, whose residual streams are kept, so that the sums of one layer alone are in memory.

    Batches and the order of sums are those of `_add_one_by_one`, so that the means are equal bit for bit.
    """
    calls, last = runner.find_calls(length), runner.model.n_layers - 1
    steps = [
        CaptureSteps(runner.model, runner.model.place_tokens(_list_rows(pairs)), sums.kinds, runner.turn)
        for pairs in batches
    ]
    for layer in range(runner.model.n_layers):
        for pairs, one in zip(batches, steps, strict=True):
            part = one.run_layer(layer, calls[layer])
            with runner.turn():
                sums.add(pairs, part, runner.model)
            del part
            if layer == last:
                advance(pairs)
        with runner.turn():
            sums.close(length, layer)


def _list_rows(pairs: Sequence[TokenPair]) -> list[tuple[int, ...]]:
    return [pair.clean_ids for pair in pairs] + [pair.corrupted_ids for pair in pairs]
