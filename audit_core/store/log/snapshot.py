"""Snapshots: a temporary copy of the database, so that long reads do not block writers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from audit_core.store.database.connection import DATABASE, lock_file, open_copy, open_database

if TYPE_CHECKING:
    import duckdb

FOLDER = "snapshots"
STALE_S = 3600.0
"""Maximum age of a snapshot; an older one was left by a process that exited."""


@contextmanager
def open_snapshot(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a read-only snapshot of the database; the lock is released as soon as the file is copied.

    Raises:
        StoreRefused: as `open_database`; also where the disk has no space for the copy.
    """
    with open_database(home):
        pass
    with make_copy(home, ()) as copy, open_copy(copy / DATABASE) as connection:
        yield connection


@contextmanager
def make_copy(home: Path, folders: Sequence[str]) -> Iterator[Path]:
    """Make a temporary folder with a consistent copy of the database and of these folders of the data directory."""
    place = home / FOLDER
    place.mkdir(mode=0o700, exist_ok=True)
    _sweep(place)
    with TemporaryDirectory(dir=place, ignore_cleanup_errors=True) as folder:
        copy = Path(folder)
        with lock_file(home) as path:
            for ending in ("", ".wal"):
                with suppress(FileNotFoundError):
                    shutil.copyfile(f"{path}{ending}", f"{copy / DATABASE}{ending}")
            for name in folders:
                shutil.copytree(home / name, copy / name)
        yield copy


def _sweep(folder: Path) -> None:
    for left in folder.iterdir():
        with suppress(OSError):
            if time.time() - left.lstat().st_mtime > STALE_S:
                shutil.rmtree(left, ignore_errors=True)
