"""The weights of one layer at a time, in float32, with a thread that reads the next one ahead."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit_core.errors import IntegrityError
from audit_core.models.tensors import StoredTensor

if TYPE_CHECKING:
    import torch

CHUNK_BYTES = 16 * 1024**2
"""Bytes that are read at once where the number format in the file is not float32."""


class WeightFiles:
    """Opens each weight file once: a file that is replaced later is still read as it was."""

    def __init__(self) -> None:
        self._opened: dict[Path, Any] = {}
        self._raw = bytearray()

    def read(self, stored: StoredTensor, into: torch.Tensor) -> None:
        """Read a tensor and widen it to float32.

        Args:
            into: float32 and contiguous, of the stored shape.

        Raises:
            IntegrityError: the file is shorter than its header says, or cannot be read.
        """
        import torch

        if stored.file not in self._opened:
            self._opened[stored.file] = stored.file.open("rb", buffering=0)
        file = self._opened[stored.file].fileno()
        flat = into.view(-1)
        if stored.dtype == "F32":
            self._fill(stored, file, flat.numpy().data.cast("B"), stored.start)
            return
        kind = {"BF16": torch.bfloat16, "F16": torch.float16, "F64": torch.float64}[stored.dtype]
        self._raw = self._raw or bytearray(CHUNK_BYTES)
        step = CHUNK_BYTES // kind.itemsize
        for first in range(0, flat.numel(), step):
            part = flat[first : first + step]
            raw = memoryview(self._raw)[: part.numel() * kind.itemsize]
            self._fill(stored, file, raw, stored.start + first * kind.itemsize)
            part.copy_(torch.frombuffer(self._raw, dtype=kind, count=part.numel()))

    def _fill(self, stored: StoredTensor, file: int, buffer: memoryview, offset: int) -> None:
        done = 0
        while done < len(buffer):
            try:
                more = os.preadv(file, [buffer[done:]], offset + done)
            except OSError as error:
                raise IntegrityError(f"{stored.file} cannot be read: {error.strerror}.") from error
            if not more:
                raise IntegrityError(f"{stored.file} ends before the tensor {ascii(stored.name)[:80]}.")
            done += more


class LayerStore:
    """Gives each layer its weights before it runs, and takes those of the layer before.

    A layer without weights holds NaN, so that whatever is computed with it is no number. Not for gradients: memory of
    weights is used again by later layers.
    """

    def __init__(self, layers: Sequence[Any], stored: Sequence[Mapping[str, StoredTensor]], files: WeightFiles) -> None:
        """Args:
        layers: modules with equal parameters, which are replaced.
        stored: of each layer, where the tensor of each parameter is.
        """
        import torch

        self.layers, self._stored, self._files = layers, stored, files
        self._slots: list[dict[str, torch.Tensor]] = []
        self._current: int | None = None
        self._ahead: tuple[int, Future[dict[str, torch.Tensor]]] | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._nothing = torch.full((1,), float("nan"))
        self._skips = False
        self.n_reads, self.read_s = 0, 0.0
        for at, layer in enumerate(layers):
            self._release(at)
            layer.register_forward_pre_hook(self._before(at))

    @property
    def layer_bytes(self) -> int:
        """Size of one layer in float32."""
        return 4 * sum(prod(tensor.shape) for tensor in self._stored[0].values())

    @property
    def stored_bytes(self) -> int:
        """Size of all layers in the files."""
        return sum(tensor.size_bytes for layer in self._stored for tensor in layer.values())

    def load(self, layer: int) -> None:
        """Give a layer its weights, and begin to read those of the next; the layer after the last is the first."""
        if layer == self._current:
            return
        if self._ahead is not None and self._ahead[0] == layer:
            (_, reading), self._ahead = self._ahead, None
            ready = reading.result()
        else:
            self._discard_ahead()
            ready = self._read(layer, self._take_slot())
        before = self._current
        if before is not None:
            self._slots.append(self._weights(before))
            self._release(before)
        for name, weights in self.layers[layer].named_parameters():
            weights.data = ready[_own_name(name)]
        self._current = layer
        following = (layer + 1) % len(self.layers)
        if following != layer:
            self._ahead = following, self._pool.submit(self._read, following, self._take_slot())

    def time_layer(self) -> float:
        """Seconds to read one layer into memory that is in use already; the layer that runs keeps its weights."""
        self._discard_ahead()
        slot = self._take_slot()
        start = time.perf_counter()
        self._slots.append(self._read(len(self.layers) // 2, slot))
        return time.perf_counter() - start

    @contextmanager
    def skip_layers(self) -> Iterator[None]:
        """Layers return their input, so that the model can be called without weights."""
        self._skips = True
        for layer in self.layers:
            layer.forward = _return_input
        try:
            yield
        finally:
            for layer in self.layers:
                del layer.forward
            self._skips = False

    def _before(self, layer: int) -> Any:
        def load(_module: Any, _args: tuple[Any, ...]) -> None:
            if not self._skips:
                self.load(layer)

        return load

    def _discard_ahead(self) -> None:
        if self._ahead is not None:
            (_, reading), self._ahead = self._ahead, None
            if reading.exception() is None:
                self._slots.append(reading.result())

    def _take_slot(self) -> dict[str, torch.Tensor]:
        import torch

        if self._slots:
            return self._slots.pop()
        # Not in inference mode: the thread that reads writes into it outside of it.
        with torch.inference_mode(False):
            return {name: torch.empty(tensor.shape) for name, tensor in self._stored[0].items()}

    def _read(self, layer: int, slot: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        import torch

        start = time.perf_counter()
        with torch.no_grad():
            for name, tensor in self._stored[layer].items():
                self._files.read(tensor, slot[name])
        self.n_reads, self.read_s = self.n_reads + 1, self.read_s + time.perf_counter() - start
        return slot

    def _weights(self, layer: int) -> dict[str, torch.Tensor]:
        return {_own_name(name): weights.data for name, weights in self.layers[layer].named_parameters()}

    def _release(self, layer: int) -> None:
        for name, weights in self.layers[layer].named_parameters():
            weights.data = self._nothing.expand(self._stored[layer][_own_name(name)].shape)


def _own_name(name: str) -> str:
    """Name of a parameter in the model itself, without the parts that TransformerLens adds when it wraps modules."""
    return name.replace("_original_component.", "")


def _return_input(hidden_states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    return hidden_states
