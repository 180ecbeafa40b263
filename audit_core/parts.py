"""Parts of a run: what was measured of each question, kept so that a stopped or killed run goes on where it ended."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from audit_core.errors import StoreRefused
from audit_core.subject import Progress

T = TypeVar("T")
FOLDER = "parts"
MAX_BYTES = 256 << 20
"""Of all parts of a data directory; beyond it the oldest are deleted."""


class KeptParts:
    """Parts of one audit on one model, as files of the data directory.

    A file is named by a digest of all that the part depends on, so that runs of other sets of questions find it too. One that
    was cut or changed by accident counts as missing, and is measured again.
    """

    def __init__(self, home: Path, depends_on: Sequence[Any]) -> None:
        """Args: depends_on: what all parts depend on beside their question, as plain values."""
        self._top = home / FOLDER
        self._folder = self._top / _digest(depends_on)
        self._is_swept = False
        self.n_found = 0
        """Parts that an earlier run measured."""

    def find(self, name: str) -> bytes | None:
        """A kept part as JSON, or None."""
        try:
            digest, _, data = (self._folder / f"{name}.json").read_bytes().partition(b"\n")
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest().encode() == digest else None

    def keep(self, name: str, data: bytes) -> None:
        """Keep a part.

        Raises:
            StoreRefused: the data directory cannot be written.
        """
        part = self._folder / f".{secrets.token_hex(8)}.part"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
            # Not synced: a part that a power failure cuts has another digest, and is measured again.
            part.replace(self._folder / f"{name}.json")
            self._sweep()
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise StoreRefused(
                f"A part of the run cannot be kept: {error.strerror or error}.", wanted="a writable data directory.",
                remedy="check the disk, or set AUDIT_HOME to another folder.",
            ) from error  # fmt: skip

    @contextmanager
    def lend(self) -> Iterator[None]:
        """Let audits of this thread use and add parts; outside, nothing is kept."""
        before = _lent.set(self)
        try:
            yield
        finally:
            _lent.reset(before)

    def _sweep(self) -> None:
        """Delete the oldest parts if there are too many, once a run."""
        if self._is_swept:
            return
        self._is_swept = True
        sizes = []
        for path in self._top.glob("*/*"):
            with suppress(OSError):
                about = path.stat()
                sizes.append((about.st_mtime_ns, about.st_size, path))
        total = sum(size for _, size, _ in sizes)
        for _, size, path in sorted(sizes):
            if total <= MAX_BYTES:
                return
            path.unlink(missing_ok=True)
            total -= size


_lent: ContextVar[KeptParts | None] = ContextVar("kept_parts", default=None)
"""The parts of the auditor that runs an audit in this thread: an audit's own arguments have no place for them."""


@dataclass(frozen=True)
class Measured(Generic[T]):
    """The parts of all questions."""

    parts: tuple[T, ...]
    done: int
    """Work that is done, kept parts not counted."""


def measure_each(
    asked: Sequence[Any],
    shape: Any,
    measure: Callable[[int], T],
    *,
    work: Sequence[int],
    on_progress: Progress,
    done: int = 0,
    after: int = 0,
) -> Measured[T]:
    """Measure every question of a run, but for those that an earlier run measured.

    Args:
        asked: all that the part of each question depends on beside audit and model, as plain values.
        shape: type of a part, which its JSON is read back as.
        measure: part of the question with this index.
        work: of each question; progress counts only those that are measured.
        done: work before these questions.
        after: work that follows them.

    Raises:
        Cancelled: by `on_progress`, between two questions; those before are kept.
    """
    names, kept = [_digest(one) for one in asked], _lent.get()
    found = _find_all(names, shape, kept)
    total = done + sum(own for at, own in enumerate(work) if at not in found) + after
    for at, name in enumerate(names):
        if at in found:
            continue
        on_progress(done, total)
        found[at] = measure(at)
        if kept is not None:
            kept.keep(name, _adapt(shape).dump_json(found[at]))
        done += work[at]
    # All of nothing is left where every part was kept: a caller that scales progress reads 0 of 0 as a beginning.
    on_progress(*((done, total) if total else (1, 1)))
    return Measured(tuple(found[at] for at in range(len(names))), done)


def _find_all(names: Sequence[str], shape: Any, kept: KeptParts | None) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for at, name in enumerate(names):
        data = None if kept is None else kept.find(name)
        if data is not None and kept is not None:
            with suppress(ValidationError):
                found[at] = _adapt(shape).validate_json(data)
                kept.n_found += 1
    return found


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@cache
def _adapt(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)
