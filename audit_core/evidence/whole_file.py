"""Atomic file writes: after a crash, a file is either complete or absent."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PART = ".assay-{}.part"
STALE_S = 3600.0
"""Age in seconds after which a temporary file counts as left by a killed process."""


def write_whole(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write a file atomically, replacing an existing one.

    Pipes and devices such as `/dev/null` are written directly.

    Raises:
        OSError: it cannot be written; an existing file is unchanged.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    # A symbolic link is kept; its target is replaced.
    path = path.resolve()
    with _write_part(path.parent, data, mode=mode) as part:
        part.replace(path)
    _sync_folder(path.parent)


def write_new(path: Path, data: bytes, *, mode: int) -> None:
    """Write a new file atomically.

    Raises:
        FileExistsError: the file exists; it is unchanged.
        OSError: it cannot be written.
    """
    with _write_part(path.parent, data, mode=mode) as part:
        os.link(part, path)
    _sync_folder(path.parent)


@contextmanager
def _write_part(folder: Path, data: bytes, *, mode: int) -> Iterator[Path]:
    """Write and sync a temporary file; it is deleted on exit."""
    _sweep(folder)
    part = folder / _PART.format(secrets.token_hex(8))
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            # Sync before renaming: a crash may keep a name and lose the bytes.
            os.fsync(file.fileno())
        yield part
    finally:
        part.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Delete temporary files of killed processes."""
    for part in folder.glob(_PART.format("*")):
        with suppress(OSError):
            if time.time() - part.lstat().st_mtime > STALE_S:
                part.unlink()


def _sync_folder(folder: Path) -> None:
    """Sync the folder, so that a crash cannot lose the new name; only POSIX systems can open folders."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
