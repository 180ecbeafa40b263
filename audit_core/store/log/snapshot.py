"""The store as it is at one moment, in a copy of its own: whatever takes long is done there, and others write meanwhile."""

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
"""Longer than any check takes: a copy that is older has lost its process."""


@contextmanager
def open_snapshot(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database as it is now, to read; the lock is held for as long as copying the file takes, and no longer.

    Raises:
        StoreRefused: as `open_database`; also where the disk has no room for the copy.
    """
    with open_database(home):
        pass
    with make_copy(home, ()) as copy, open_copy(copy / DATABASE) as connection:
        yield connection


@contextmanager
def make_copy(home: Path, folders: Sequence[str]) -> Iterator[Path]:
    """A folder with a copy of the database and of these folders of the home, all of one moment; gone in the end."""
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
