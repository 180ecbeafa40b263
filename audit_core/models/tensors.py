"""Compare stored tensors of checked model folders, reading their files in chunks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import ModelRefused
from audit_core.models.folder import HEADER_BYTES, check_folder, list_weight_files

_CHUNK = 4_000_000
"""Numbers in memory at once, per tensor."""
_FLOATS = {"F64": np.float64, "F32": np.float32, "F16": np.float16}
_BYTES = {"BF16": 2, "I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_SIZES = {name: np.dtype(kind).itemsize for name, kind in _FLOATS.items()} | _BYTES
_Place = tuple[slice, ...]


@dataclass(frozen=True)
class StoredTensor:
    """Location of a tensor's bytes."""

    name: str
    file: Path
    dtype: str
    """Name in safetensors, such as BF16."""
    shape: tuple[int, ...]
    start: int
    """Offset in the file."""
    size_bytes: int

    @property
    def can_be_cut(self) -> bool:
        """Whether entries are whole bytes, so that the tensor can be sliced."""
        return self.dtype in _SIZES

    def describe(self) -> str:
        return f"{self.dtype} {list(self.shape)}"

    def map_bytes(self) -> NDArray[Any]:
        """Memory-map the entries as unsigned integers, or as bytes if an entry is smaller than a byte."""
        size = _SIZES.get(self.dtype)
        shape = (self.shape or (1,)) if size else (self.size_bytes,)
        kind = np.dtype(f"<u{size or 1}")
        if not self.size_bytes:
            return np.empty(shape, kind)
        return np.memmap(self.file, kind, "r", self.start, shape)


def list_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Return every tensor of a model folder by name.

    Raises:
        ModelRefused: the folder must not be loaded, a header is too large, or two files contain the same name.
    """
    check_folder(folder)
    found: dict[str, StoredTensor] = {}
    for file in list_weight_files(folder):
        for tensor in _read_header(folder / file):
            if tensor.name in found:
                raise ModelRefused(
                    f"{folder} contains {ascii(tensor.name)[:80]} in two files.",
                    wanted="each tensor once.",
                    remedy="export the model again.",
                )
            found[tensor.name] = tensor
    return found


def _read_header(file: Path) -> Iterator[StoredTensor]:
    # The library has already checked offsets, shapes and sizes; only the offsets are read here.
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > HEADER_BYTES:
            raise ModelRefused(
                f"{file} has a header of {length / 1e6:g} MB.",
                wanted=f"at most {HEADER_BYTES / 1e6:g} MB.",
                remedy="inspect the file.",
            )
        header = json.loads(stream.read(length))
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            yield StoredTensor(name, file, entry["dtype"], tuple(entry["shape"]), 8 + length + begin, end - begin)


@dataclass(frozen=True)
class Distance:
    """Distance of two tensors or of two slices; distances of slices can be added."""

    is_same: bool
    """Whether the bytes are equal: 0.0 and −0.0 differ."""
    max_abs: float = 0.0
    square: float = 0.0
    """Σ (after − before)²."""
    base: float = 0.0
    """Σ before²."""
    reason: str = ""
    """Why no distance was computed; empty if it was."""

    @property
    def relative(self) -> float | None:
        """Frobenius norm of the difference relative to that of the first tensor; None if that is zero or unknown."""
        return None if self.reason or not self.base else float(np.sqrt(self.square / self.base))

    def add(self, other: Distance) -> Distance:
        return Distance(
            self.is_same and other.is_same,
            max(self.max_abs, other.max_abs),
            self.square + other.square,
            self.base + other.base,
            self.reason or other.reason,
        )


def measure_distance(before: StoredTensor, after: StoredTensor, at: _Place = ()) -> Distance:
    """Compare two tensors of equal shape, or a slice of each, in chunks of rows.

    Memory: `_CHUNK` entries, or one row if that is longer.
    """
    old, new = before.map_bytes(), after.map_bytes()
    if at:
        old, new = old[at], new[at]
    if old.shape != new.shape:
        return Distance(False, reason="entries of less than a byte, in another number format than before")
    step = max(1, _CHUNK // max(1, prod(old.shape[1:])))
    spans = [slice(start, start + step) for start in range(0, len(old), step)]
    # Most tensors are equal: they are compared as bytes, without decoding.
    if before.dtype == after.dtype and all(np.array_equal(old[rows], new[rows]) for rows in spans):
        return Distance(True)
    found = Distance(False)
    for rows in spans:
        found = found.add(_measure_rows(_decode(old[rows], before.dtype), _decode(new[rows], after.dtype)))
    return found


def _measure_rows(old: NDArray[np.float64] | None, new: NDArray[np.float64] | None) -> Distance:
    if old is None or new is None:
        return Distance(False, reason="a number format that is compared as bytes only")
    with np.errstate(over="ignore", invalid="ignore"):
        gap = new - old
        found = Distance(False, float(np.abs(gap).max(initial=0.0)), _square(gap), _square(old))
    if not np.isfinite([found.max_abs, found.square, found.base]).all():
        return Distance(False, reason="an entry is not a finite number")
    return found


def _square(values: NDArray[np.float64]) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return float((values * values).sum())


def _decode(raw: NDArray[Any], dtype: str) -> NDArray[np.float64] | None:
    """Decode bytes to numbers; None if the number format is not supported."""
    raw = np.ascontiguousarray(raw)
    if dtype in _FLOATS:
        return raw.view(_FLOATS[dtype]).astype(np.float64)
    if dtype == "BF16":
        # The upper half of a float32.
        return (raw.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if dtype in _SIZES:
        kind = "u" if dtype[0] in "UB" else "i"
        return raw.view(np.dtype(f"<{kind}{_SIZES[dtype]}")).astype(np.float64)
    return None
