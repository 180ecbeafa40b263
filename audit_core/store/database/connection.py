"""The only door to DuckDB: one transaction under the lock file, closed to files, extensions and settings."""

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
from audit_core.store.database.schema import migrate

if TYPE_CHECKING:
    import duckdb

DATABASE = "runs.duckdb"
LOCK_S = 20.0
"""Seconds to wait for whoever is at the file, in this process or another."""
_LOCK_POLL_S = 0.005
_ENGINES_KEPT = 4
_BESIDE = ("", ".wal", ".wal.checkpoint", ".wal.recovery")
"""Files that DuckDB writes for one database: all that its engine may open."""
_ENGINES: dict[tuple[str, int], duckdb.DuckDBPyConnection] = {}
"""By path and process; they hold no data between transactions."""
_TURNS: dict[tuple[str, int], FairLock] = {}
"""By path and process: of its threads one at a time asks for the lock file. Twenty that poll for it double what a transaction costs."""
_HARDENING = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET memory_limit = '512MB'",
    "SET temp_directory = ''",
    "SET enable_external_access = false",
    # Last: from here on nothing above can be taken back.
    "SET lock_configuration = true",
)


class _TransactionState:
    """How far a transaction came."""

    def __init__(self) -> None:
        self.size: int | None = None
        """Events that the log has once it is committed; None while nothing is."""
        self.start: int | None = None
        """Events that it had before."""


@contextmanager
def open_database(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """One transaction on `home/runs.duckdb`, made or brought up to date if need be; any exception takes all of it back.

    Raises:
        StoreRefused: another process holds the file, the disk refuses, it is no database, or the log of this home is gone.
        IntegrityError: the database lacks what it must have, or its blocks are not what their checksums say.
    """
    with _open(home, None) as connection:
        yield connection


@contextmanager
def open_restarted(home: Path, restart: Restart) -> Iterator[duckdb.DuckDBPyConnection]:
    """As `open_database`, where the log of this home is gone and a person decided that another begins."""
    with _open(home, restart) as connection:
        yield connection


@contextmanager
def _open(home: Path, restart: Restart | None) -> Iterator[duckdb.DuckDBPyConnection]:
    fate = _TransactionState()
    # Twice: while the file is held, what became of a transaction can be asked without others writing meanwhile.
    with _explain(home.resolve() / DATABASE, fate), lock_file(home) as path, _explain(path, fate):
        refuse_lost_log(home, path, restart)
        with _attach(path, fate) as connection:
            events = fate.start = migrate(connection, home, restart)
            yield connection
            seal_when_due(connection, home, start=events)
        end_beginning(home)
        tighten_top(home.resolve())


@contextmanager
def lock_file(home: Path) -> Iterator[Path]:
    """The database's path, for nobody else while this lasts; whoever came first, in this process or another, goes first.

    Raises:
        Timeout: others had it for too long.
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
    """A copy of the database that nobody else has open.

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
    """What the engine and the system raise, as errors of ours that say what was recorded."""
    import duckdb

    try:
        yield
    except Timeout as error:
        raise StoreRefused(
            f"Somebody else has held {DATABASE} for {LOCK_S:g} s. Nothing of this was recorded.",
            wanted="the run log.",
            remedy="wait for it to finish, or set AUDIT_HOME to another folder.",
        ) from error
    except duckdb.CatalogException as error:
        raise IntegrityError(f"{path} lacks what its schema version has: {str(error)[:200]}") from error
    except (duckdb.Error, OSError) as error:
        if "checksum" in str(error):
            raise IntegrityError(f"{path} is damaged: {str(error)[:200]}") from error
        if not isinstance(error, _unusable()):
            raise
        recorded = _ask_recorded(path, fate)
        if recorded is True:
            # The transaction is in the file: only tidying up after it failed, and the next opening does it.
            return
        raise StoreRefused(
            f"The run log {path} cannot be used: {str(error)[:200]} {_RECORDED[recorded]}",
            wanted="a DuckDB file this process may open.",
            remedy="close other programs that have it open, check the disk, or set AUDIT_HOME to another folder.",
        ) from error


_RECORDED = {
    False: "Nothing of this was recorded.",
    None: "Whether this was recorded cannot be read now: `log status` says how many events there are, once it can.",
}


def _ask_recorded(path: Path, fate: _TransactionState) -> bool | None:
    """Whether what was to be committed is in the file; None where it cannot be read. Asked of the file by another engine."""
    import duckdb

    if fate.size is None:
        return False
    _ENGINES.pop((str(path), os.getpid()), None)
    size = None
    # Letting go of the file tidies it up, and on a full disk fails as it did before: what was read stands.
    with suppress(duckdb.Error, OSError), _attach(path, _TransactionState()) as connection:
        size = _count(connection)
    # A transaction without events leaves no trace that could be counted.
    return None if size is None or fate.size == fate.start else size >= fate.size


@contextmanager
def _wait_turn(path: Path) -> Iterator[None]:
    """Alone among the threads of this process."""
    turns = _TURNS.setdefault((str(path), os.getpid()), FairLock())
    if not turns.acquire(LOCK_S):
        raise Timeout(f"{path}.lock")
    try:
        yield
    finally:
        turns.release()


def _unusable() -> tuple[type[Exception], ...]:
    """What DuckDB and the system raise where the file is the matter, and not a statement."""
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
    """The file attached for one transaction, and let go after it, so that another process may open it."""
    import duckdb

    connection = _find_engine(str(path)).cursor()
    try:
        connection.execute("ATTACH ? AS store", [str(path)])
        try:
            connection.execute("USE store")
            with _transaction(connection, fate):
                yield connection
        finally:
            connection.execute("USE memory")
            connection.execute("DETACH store")
    except duckdb.Error:
        # An engine that met a full disk or a damaged file may refuse all that follows: the next call starts another.
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
            fate.size = _count(connection)
            _commit(connection)
        else:
            connection.rollback()


def _commit(connection: duckdb.DuckDBPyConnection) -> None:
    """A commit that failed is taken back, as far as the engine still can: else the file could not be let go of."""
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
    """An empty engine that may open this database and nothing else; starting one costs ten times what attaching a file does.

    A forked process must neither use its parent's engines nor end them, so it leaves them where they are.
    """
    import duckdb

    process = os.getpid()
    if (path, process) not in _ENGINES:
        own = [key for key in _ENGINES if key[1] == process]
        for key in own[: len(own) - _ENGINES_KEPT + 1]:
            _ENGINES.pop(key, None)
        # One thread is enough here, and the more there are, the longer a start takes.
        engine = duckdb.connect(":memory:", config={"threads": 1})
        engine.execute("SET allowed_paths = ?", [[f"{path}{ending}" for ending in _BESIDE]])
        for statement in _HARDENING:
            engine.execute(statement)
        _ENGINES[path, process] = engine
    return _ENGINES[path, process]
