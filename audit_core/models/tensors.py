"""The tensors of a checked folder, read from its files a piece at a time: bytes to compare, numbers to measure."""

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
"""Numbers held at once, of each of two tensors."""
_FLOATS = {"F64": np.float64, "F32": np.float32, "F16": np.float16}
_BYTES = {"BF16": 2, "I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_SIZES = {name: np.dtype(kind).itemsize for name, kind in _FLOATS.items()} | _BYTES
_Place = tuple[slice, ...]


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor's bytes lie."""

    name: str
    file: Path
    dtype: str
    """As safetensors names it, such as BF16."""
    shape: tuple[int, ...]
    start: int
    """Offset in the file."""
    size_bytes: int

    @property
    def can_be_cut(self) -> bool:
        """Whether an entry takes whole bytes, so that parts of the tensor can be told apart."""
        return self.dtype in _SIZES

    def describe(self) -> str:
        return f"{self.dtype} {list(self.shape)}"

    def map_bytes(self) -> NDArray[Any]:
        """The entries as unsigned integers, mapped and not read; plain bytes where an entry takes less than one."""
        size = _SIZES.get(self.dtype)
        shape = (self.shape or (1,)) if size else (self.size_bytes,)
        kind = np.dtype(f"<u{size or 1}")
        if not self.size_bytes:
            return np.empty(shape, kind)
        return np.memmap(self.file, kind, "r", self.start, shape)


def list_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of a model folder by its name.

    Raises:
        ModelRefused: not a folder that may be loaded, a header too large to read, or one name in two files.
    """
    check_folder(folder)
    found: dict[str, StoredTensor] = {}
    for file in list_weight_files(folder):
        for tensor in _read_header(folder / file):
            if tensor.name in found:
                raise ModelRefused(
                    f"{folder} holds {ascii(tensor.name)[:80]} in two files.",
                    wanted="each tensor once.",
                    remedy="export the model again.",
                )
            found[tensor.name] = tensor
    return found


def _read_header(file: Path) -> Iterator[StoredTensor]:
    # The library has held offsets, shapes and sizes against the file before; only the places are read here.
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > HEADER_BYTES:
            raise ModelRefused(
                f"{file} has a header of {length / 1e6:g} MB.",
                wanted=f"at most {HEADER_BYTES / 1e6:g} MB.",
                remedy="look at what the file holds.",
            )
        header = json.loads(stream.read(length))
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            yield StoredTensor(name, file, entry["dtype"], tuple(entry["shape"]), 8 + length + begin, end - begin)


@dataclass(frozen=True)
class Distance:
    """How far two tensors, or two equal parts of them, lie apart; sums over parts are added up."""

    is_same: bool
    """Byte for byte: 0.0 and −0.0 differ."""
    max_abs: float = 0.0
    square: float = 0.0
    """Σ (after − before)²."""
    base: float = 0.0
    """Σ before²."""
    reason: str = ""
    """Why there are no numbers; empty where there are."""

    @property
    def relative(self) -> float | None:
        """Frobenius norm of the difference over that of the tensor before; None where that is zero or not known."""
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
    """Compare two tensors of one shape, or the part of each at a place, some rows at a time.

    Memory: the numbers of `_CHUNK` entries, or of one row where that is longer.
    """
    old, new = before.map_bytes(), after.map_bytes()
    if at:
        old, new = old[at], new[at]
    if old.shape != new.shape:
        return Distance(False, reason="entries of less than a byte, of another number format than before")
    step = max(1, _CHUNK // max(1, prod(old.shape[1:])))
    spans = [slice(start, start + step) for start in range(0, len(old), step)]
    # Most tensors are the same: they are compared once and never turned into numbers.
    if before.dtype == after.dtype and all(np.array_equal(old[rows], new[rows]) for rows in spans):
        return Distance(True)
    found = Distance(False)
    for rows in spans:
        found = found.add(_measure_rows(_decode(old[rows], before.dtype), _decode(new[rows], after.dtype)))
    return found


def _measure_rows(old: NDArray[np.float64] | None, new: NDArray[np.float64] | None) -> Distance:
    if old is None or new is None:
        return Distance(False, reason="a number format that is compared byte by byte alone")
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
    """The numbers that the bytes stand for; None where they stand for none that are known here."""
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
