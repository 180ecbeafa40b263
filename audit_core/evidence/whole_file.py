"""Files that are there whole or not at all, whenever the process or the machine stops."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PART = ".assay-{}.part"
STALE_S = 3600.0
"""Far longer than any disk takes for one file: a part that is older has lost its writer."""


def write_whole(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write a file, over what was there.

    What is no plain file, such as a pipe or `/dev/null`, has no whole to keep and is written straight.

    Raises:
        OSError: the file that was there, if any, is as it was.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    # A link stays a link, and what it points to is replaced.
    path = path.resolve()
    with _write_part(path.parent, data, mode=mode) as part:
        part.replace(path)
    _sync_folder(path.parent)


def write_new(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file where none is.

    Raises:
        FileExistsError: one is there; it stays as it is.
        OSError: no file was made.
    """
    with _write_part(path.parent, data, mode=mode) as part:
        os.link(part, path)
    _sync_folder(path.parent)


@contextmanager
def _write_part(folder: Path, data: bytes, *, mode: int) -> Iterator[Path]:
    """The bytes on the disk under a name that nothing reads, which is gone in the end."""
    _sweep(folder)
    part = folder / _PART.format(secrets.token_hex(8))
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            # Before the name is given: a machine that stops may keep a name and lose the bytes.
            os.fsync(file.fileno())
        yield part
    finally:
        part.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Take away what writers that were killed have left."""
    for part in folder.glob(_PART.format("*")):
        with suppress(OSError):
            if time.time() - part.lstat().st_mtime > STALE_S:
                part.unlink()


def _sync_folder(folder: Path) -> None:
    """Without it a crash may lose the new name while keeping the bytes; folders cannot be opened on every system."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
