"""Replay of single blocks: recorded call arguments, and cached keys and values of earlier positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from audit_core.engine.sites import HookedModel
from audit_core.errors import ControlFailed

if TYPE_CHECKING:
    import torch


class _CachePlace:
    """Placeholder for the key-value cache in a recorded call."""


_CACHE = _CachePlace()


@dataclass(frozen=True, eq=False)
class BlockCall:
    """Arguments of a block besides the residual, recorded with batch size one; they depend on the length only."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    n_positions: int

    def expand(self, rows: int, start: int, cache: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments for some rows, from a start position, with a cache inserted."""

        def fit(value: Any) -> Any:
            if value is _CACHE:
                return cache
            if isinstance(value, tuple):
                return tuple(fit(v) for v in value)
            if not hasattr(value, "expand"):
                return value
            value = _cut(value, start, self.n_positions)
            return value.expand(rows, *value.shape[1:]) if value.dim() and value.shape[0] == 1 else value

        return tuple(fit(a) for a in self.args), {k: fit(v) for k, v in self.kwargs.items()}


def _cut(value: torch.Tensor, start: int, n_positions: int) -> torch.Tensor:
    """Remove positions before `start`: queries of a mask (batch, head, query, key), rows of (batch, pos, ...)."""
    axis = {4: 2, 3: 1, 2: 1, 1: 0}.get(value.dim())
    if not start or axis is None or value.shape[axis] != n_positions:
        return value
    return value.narrow(axis, start, n_positions - start)


class _Recorded(Exception):
    """Stops the model before its last block runs: logits of every position would take more memory than all blocks."""


@contextmanager
def skip_direct(model: HookedModel) -> Iterator[None]:
    """Blocks that are run directly return their input: what they are called with does not depend on what they compute."""
    inner: list[Any] = [model.bridge.blocks[layer].original_component for layer in model.direct]
    for block in inner:
        block.forward = _return_input
    try:
        yield
    finally:
        for block in inner:
            del block.forward


def _return_input(hidden_states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    return hidden_states


def record_calls(model: HookedModel, tokens: torch.Tensor) -> tuple[BlockCall, ...]:
    """Record how each block is called for prompts of this length.

    Args:
        tokens: one prompt, shape (1, pos).

    Raises:
        ControlFailed: a block was never called.
    """
    calls: dict[int, BlockCall] = {}

    def mark(value: Any) -> Any:
        return _CACHE if hasattr(value, "get_seq_length") else value

    def keep(layer: int) -> Any:
        def before(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            named = {k: mark(v) for k, v in kwargs.items() if k != "hidden_states"}
            calls[layer] = BlockCall(tuple(mark(a) for a in args[1:]), named, tokens.shape[1])
            if len(calls) == model.n_layers:
                raise _Recorded

        return before

    handles = [
        block.register_forward_pre_hook(keep(i), with_kwargs=True) for i, block in enumerate(model.bridge.blocks)
    ]
    try:
        model.bridge(tokens)
    except _Recorded:
        pass
    finally:
        for handle in handles:
            handle.remove()
    if len(calls) != model.n_layers:
        raise ControlFailed(
            f"{model.n_layers - len(calls)} blocks were never called; this architecture cannot be replayed."
        )
    return tuple(calls[i] for i in range(model.n_layers))


class KeyValueRecorder:
    """Recording cache: stores the keys and values of a block without changing them."""

    def __init__(self) -> None:
        self.kept: dict[str, torch.Tensor] = {}

    def get_seq_length(self, *_: Any) -> int:
        return 0

    def update(self, keys: torch.Tensor, values: torch.Tensor, *_: Any, **__: Any) -> tuple[Any, Any]:
        self.kept = {"keys": keys, "values": values}
        return keys, values


@dataclass(frozen=True, eq=False)
class Prefix:
    """Prefix cache: prepends keys and values of earlier positions to the new ones."""

    parts: Sequence[tuple[Mapping[str, torch.Tensor], int]]
    """Per group of rows with the same source: keys and values of whole prompts, each shape (prompt, head, pos, d_head),
    and the number of repetitions of the prompts."""
    start: int

    def get_seq_length(self, *_: Any) -> int:
        return self.start

    def update(self, keys: torch.Tensor, values: torch.Tensor, *_: Any, **__: Any) -> tuple[Any, Any]:
        return self._join(keys, "keys"), self._join(values, "values")

    def _join(self, running: torch.Tensor, which: str) -> torch.Tensor:
        rows, heads, new, size = running.shape
        whole = running.new_empty(rows, heads, self.start + new, size)
        whole[:, :, self.start :] = running
        row = 0
        for kept, repeats in self.parts:
            before = kept[which][:, :, : self.start]
            n = before.shape[0] * repeats
            whole[row : row + n, :, : self.start].view(repeats, *before.shape)[:] = before
            row += n
        return whole


def call_block(
    model: HookedModel, layer: int, residual: torch.Tensor, call: BlockCall, *, start: int, cache: Any
) -> torch.Tensor:
    """Run one block on any number of rows; shape in and out (row, pos, d_model)."""
    args, kwargs = call.expand(residual.shape[0], start, cache)
    if (direct := model.direct.get(layer)) is not None:
        named = dict(zip(direct.argument_names, args)) | kwargs
        if direct.can_run(residual, named):
            return direct.run(residual, named)
    out = model.bridge.blocks[layer](residual, *args, **kwargs)
    return out[0] if isinstance(out, tuple) else out
