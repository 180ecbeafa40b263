"""The only door to DuckDB: one transaction under the lock file, closed to files, extensions and settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from audit_core.errors import IntegrityError, StoreRefused
from audit_core.store.checkpoints import seal_when_due
from audit_core.store.schema import bring_up_to_date

if TYPE_CHECKING:
    import duckdb

DATABASE = "runs.duckdb"
LOCK_S = 20.0
"""Seconds to wait for another process that is appending."""
_LOCK_POLL_S = 0.005
_ENGINES_KEPT = 4
_BESIDE = ("", ".wal", ".wal.checkpoint", ".wal.recovery")
"""Files that DuckDB writes for one database: all that its engine may open."""
_HARDENING = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET memory_limit = '512MB'",
    "SET threads = 1",
    "SET temp_directory = ''",
    "SET enable_external_access = false",
    # Last: from here on nothing above can be taken back.
    "SET lock_configuration = true",
)


@contextmanager
def open_database(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """One transaction on `home/runs.duckdb`, made or brought up to date if need be; any exception takes all of it back.

    Raises:
        StoreRefused: another process holds the file, the disk refuses, or it is no database.
        IntegrityError: the database lacks what it must have, or its blocks are not what their checksums say.
    """
    import duckdb

    path = home.resolve() / DATABASE
    try:
        with FileLock(f"{path}.lock", timeout=LOCK_S, poll_interval=_LOCK_POLL_S), _attach(path) as connection:
            events = bring_up_to_date(connection, home)
            yield connection
            seal_when_due(connection, home, start=events)
    except Timeout as error:
        raise StoreRefused(
            f"Another process has held {DATABASE} for {LOCK_S:g} s.",
            wanted="the run log.",
            remedy="wait for it to finish, or set AUDIT_HOME to another folder.",
        ) from error
    except duckdb.CatalogException as error:
        raise IntegrityError(f"{path} lacks what its schema version has: {str(error)[:200]}") from error
    except (duckdb.IOException, duckdb.SerializationException, duckdb.FatalException, OSError) as error:
        if "checksum" in str(error):
            raise IntegrityError(f"{path} is damaged: {str(error)[:200]}") from error
        raise StoreRefused(
            f"The run log {path} cannot be used: {str(error)[:200]}",
            wanted="a DuckDB file this process may open.",
            remedy="close other programs that have it open, check the disk, or set AUDIT_HOME to another folder.",
        ) from error


@contextmanager
def _attach(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The file attached for one transaction, and let go after it, so that another process may open it."""
    import duckdb

    connection = _start_engine(str(path), os.getpid()).cursor()
    try:
        connection.execute("ATTACH ? AS store", [str(path)])
        try:
            connection.execute("USE store")
            with _transaction(connection):
                yield connection
        finally:
            connection.execute("USE memory")
            connection.execute("DETACH store")
    except duckdb.Error:
        # An engine that met a full disk or a damaged file may refuse all that follows: the next call starts another.
        _start_engine.cache_clear()
        raise
    finally:
        connection.close()


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.begin()
    is_whole = False
    try:
        yield
        is_whole = True
    finally:
        if is_whole:
            connection.commit()
        else:
            connection.rollback()


@lru_cache(maxsize=_ENGINES_KEPT)
def _start_engine(path: str, process: int) -> duckdb.DuckDBPyConnection:
    """An empty engine that may open this database and nothing else.

    Starting one costs ten times what attaching a file to it does. A forked process must not use its parent's.
    """
    import duckdb

    engine = duckdb.connect(":memory:")
    engine.execute("SET allowed_paths = ?", [[f"{path}{ending}" for ending in _BESIDE]])
    for statement in _HARDENING:
        engine.execute(statement)
    return engine
