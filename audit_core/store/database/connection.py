"""The only access to DuckDB: one transaction under a lock file, without access to files, extensions and settings."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from audit_core.errors import IntegrityError, StoreRefused
from audit_core.store.database.checkpoints import seal_when_due
from audit_core.store.database.fair_lock import FairLock
from audit_core.store.database.lost_log import Restart, end_beginning, refuse_lost_log
from audit_core.store.database.private import FILE_MODE, tighten_home, tighten_top
from audit_core.store.database.process_queue import wait_in_queue
from audit_core.store.database.read_only import refuse_change
from audit_core.store.database.schema import migrate

if TYPE_CHECKING:
    import duckdb

DATABASE = "runs.duckdb"
LOCK_S = 20.0
"""Maximum seconds to wait for other threads and processes."""
_LOCK_POLL_S = 0.005
_ENGINES_KEPT = 4
_BESIDE = ("", ".wal", ".wal.checkpoint", ".wal.recovery")
"""Suffixes of the files that DuckDB writes for one database; the engine may open no others."""
_ENGINES: dict[tuple[str, int], duckdb.DuckDBPyConnection] = {}
"""Engine by path and process; without attached data between transactions."""
_TURNS: dict[tuple[str, int], FairLock] = {}
"""Lock by path and process, so that one thread at a time polls the lock file; twenty polling threads double a transaction's time."""
_HARDENING = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET memory_limit = '512MB'",
    "SET temp_directory = ''",
    # It looks rows up a second time after they were sorted, and planning that takes longer than finding the last event.
    "SET disabled_optimizers = 'late_materialization'",
    "SET enable_external_access = false",
    # Last, because it prevents any later change of the settings above.
    "SET lock_configuration = true",
)


class _TransactionState:
    """Event counts of a transaction, to tell whether it was committed."""

    def __init__(self) -> None:
        self.size: int | None = None
        """Events in the log after the commit; None before the commit begins."""
        self.start: int | None = None
        """Events in the log before the transaction."""
        self.end: int | None = None
        """Events in the log at its end, where they were counted."""


@contextmanager
def open_database(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open one transaction on `home/runs.duckdb`, created or migrated if needed; any exception rolls it back.

    Raises:
        StoreRefused: the file is locked, the disk fails, it is not a database, or the log of this data directory is missing.
        IntegrityError: the database lacks a table or column, or a block's checksum is wrong.
    """
    with _open(home, None) as connection:
        yield connection


@contextmanager
def open_restarted(home: Path, restart: Restart) -> Iterator[duckdb.DuckDBPyConnection]:
    """As `open_database`, where the log is missing and a person decided to begin a new one."""
    with _open(home, restart) as connection:
        yield connection


@contextmanager
def _open(home: Path, restart: Restart | None) -> Iterator[duckdb.DuckDBPyConnection]:
    fate = _TransactionState()
    # Twice: under the lock, the outcome of a failed commit can be read before other processes write.
    with _explain(home.resolve() / DATABASE, fate), lock_file(home) as path, _explain(path, fate):
        refuse_lost_log(home, path, restart)
        with _attach(path, fate) as connection:
            fate.start = migrate(connection, home, restart)
            yield connection
            fate.end = _count(connection)
            if fate.end != fate.start:
                refuse_change(home, "nothing was recorded")
                seal_when_due(connection, home, start=fate.start)
        end_beginning(home)
        tighten_top(home.resolve())


@contextmanager
def lock_file(home: Path) -> Iterator[Path]:
    """Lock the database file and yield its path; threads and processes get the lock in order of arrival.

    Raises:
        Timeout: the lock was not available in time.
    """
    folder = home.resolve()
    path, start = folder / DATABASE, time.monotonic()
    tighten_home(folder, os.getpid())

    def left_s() -> float:
        return max(0.0, LOCK_S - (time.monotonic() - start))

    with wait_in_queue(folder) as ticket, _wait_turn(path):
        if not ticket.wait(left_s()):
            raise Timeout(f"{path}.lock")
        with FileLock(f"{path}.lock", timeout=left_s(), poll_interval=_LOCK_POLL_S, mode=FILE_MODE):
            yield path


@contextmanager
def open_copy(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a copy of the database that no other process uses.

    Raises:
        StoreRefused, IntegrityError: as `open_database`.
    """
    fate = _TransactionState()
    with _explain(path, fate):
        try:
            with _attach(path, fate) as connection:
                yield connection
        finally:
            _ENGINES.pop((str(path), os.getpid()), None)


@contextmanager
def _explain(path: Path, fate: _TransactionState) -> Iterator[None]:
    """Translate errors of the engine and the system to `StoreRefused` and `IntegrityError`, with what was recorded."""
    import duckdb

    try:
        yield
    except Timeout as error:
        raise StoreRefused(
            f"{DATABASE} has been locked by another process or thread for {LOCK_S:g} s. Nothing was recorded.",
            wanted="access to the run log.",
            remedy="wait for it to finish, or set AUDIT_HOME to another folder.",
        ) from error
    except duckdb.CatalogException as error:
        raise IntegrityError(f"{path} lacks a table or column of its schema version: {str(error)[:200]}") from error
    except (duckdb.Error, OSError) as error:
        if "checksum" in str(error):
            raise IntegrityError(f"{path} is damaged: {str(error)[:200]}") from error
        if not isinstance(error, _unusable()):
            raise
        recorded = _ask_recorded(path, fate)
        if recorded is True:
            # The transaction is committed; only the cleanup failed, and the next opening repeats it.
            return
        raise StoreRefused(
            f"The run log {path} cannot be used: {str(error)[:200]} {_RECORDED[recorded]}",
            wanted="a DuckDB file that this process may open.",
            remedy="close other programs that have it open, check the disk, or set AUDIT_HOME to another folder.",
        ) from error


_RECORDED = {
    False: "Nothing was recorded.",
    None: "Whether this was recorded is unknown: compare the number of events with `log status` once it works again.",
}


def _ask_recorded(path: Path, fate: _TransactionState) -> bool | None:
    """Whether the transaction is in the file, read with a new engine; None where it cannot be read."""
    import duckdb

    if fate.size is None:
        return False
    _ENGINES.pop((str(path), os.getpid()), None)
    size = None
    # Detaching writes to the file and fails again on a full disk; the count read before stays valid.
    with suppress(duckdb.Error, OSError), _attach(path, _TransactionState()) as connection:
        size = _count(connection)
    # A transaction without events cannot be detected by counting.
    return None if size is None or fate.size == fate.start else size >= fate.size


@contextmanager
def _wait_turn(path: Path) -> Iterator[None]:
    """Exclude the other threads of this process."""
    turns = _TURNS.setdefault((str(path), os.getpid()), FairLock())
    if not turns.acquire(LOCK_S):
        raise Timeout(f"{path}.lock")
    try:
        yield
    finally:
        turns.release()


def _unusable() -> tuple[type[Exception], ...]:
    """Exceptions caused by the file, not by a statement."""
    import duckdb

    return (
        duckdb.IOException,
        duckdb.SerializationException,
        duckdb.TransactionException,
        duckdb.FatalException,
        OSError,
    )


@contextmanager
def _attach(path: Path, fate: _TransactionState) -> Iterator[duckdb.DuckDBPyConnection]:
    """Attach the file for one transaction and detach it afterwards, so that another process can open it."""
    import duckdb

    engine = _find_engine(str(path))
    connection = engine.cursor()
    try:
        connection.execute("ATTACH ? AS store", [str(path)])
        try:
            connection.execute("USE store")
            with _transaction(connection, fate):
                yield connection
        finally:
            # What a connection uses cannot be detached, except by another connection.
            connection.close()
            engine.execute("DETACH store")
    except duckdb.Error:
        # After a full disk or a damaged file an engine may refuse every statement: the next call starts a new one.
        _ENGINES.pop((str(path), os.getpid()), None)
        raise
    finally:
        connection.close()


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection, fate: _TransactionState) -> Iterator[None]:
    connection.begin()
    is_whole = False
    try:
        yield
        is_whole = True
    finally:
        if is_whole:
            fate.size = _count(connection) if fate.end is None else fate.end
            _commit(connection)
        else:
            connection.rollback()


def _commit(connection: duckdb.DuckDBPyConnection) -> None:
    """Commit; roll back a failed commit where possible, so that the file can be detached."""
    import duckdb

    try:
        connection.commit()
    except duckdb.Error:
        with suppress(duckdb.Error):
            connection.rollback()
        raise


def _count(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("SELECT count(*) FROM audit_event").fetchone()
    return int(row[0]) if row else 0


def _find_engine(path: str) -> duckdb.DuckDBPyConnection:
    """Engine that may open only this database; starting one takes ten times as long as attaching a file.

    A forked process must neither use nor close its parent's engines, so they stay in the dictionary.
    """
    import duckdb

    process = os.getpid()
    if (path, process) not in _ENGINES:
        own = [key for key in _ENGINES if key[1] == process]
        for key in own[: len(own) - _ENGINES_KEPT + 1]:
            _ENGINES.pop(key, None)
        # One thread is enough, and each further thread makes the start slower.
        engine = duckdb.connect(":memory:", config={"threads": 1})
        engine.execute("SET allowed_paths = ?", [[f"{path}{ending}" for ending in _BESIDE]])
        for statement in _HARDENING:
            engine.execute(statement)
        _ENGINES[path, process] = engine
    return _ENGINES[path, process]
