"""Queue of processes for the database, in order of arrival; killed and stopped processes are skipped."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from audit_core.store.database.process_lock import is_alive, name_process

FOLDER = "queue"
_POLL_S = 0.003
_RENEW_S = 0.25
_STOPPED_S = 2.0
"""A waiting process that has not renewed its ticket for this long counts as stopped and is skipped."""
_NUMBERS = itertools.count()


@contextmanager
def wait_in_queue(home: Path) -> Iterator[Ticket]:
    """Create a ticket, a file named by time and process. Tickets order the waiting processes; the lock file excludes them.

    The time is the machine's monotonic clock, which all processes share and which setting the wall clock does not change.
    """
    process = name_process(home)
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{time.monotonic_ns():020d}-{process}-{next(_NUMBERS)}"
    path.touch(mode=0o600)
    _renew(path)
    try:
        yield Ticket(home, process, path)
    finally:
        path.unlink(missing_ok=True)


class Ticket:
    """One entry in the queue.

    Each thread has a ticket, and one thread per process polls. It proceeds when the oldest ticket belongs to its process,
    because that process's other threads wait for it.
    """

    def __init__(self, home: Path, process: str, path: Path) -> None:
        self._home, self._process, self._path = home, process, path

    def wait(self, wait_s: float) -> bool:
        """Wait at most `wait_s` seconds; returns whether it is this process's turn."""
        end = time.monotonic() + wait_s
        renewed = 0.0
        while not self._is_next():
            now = time.monotonic()
            if now >= end:
                return False
            if now - renewed > _RENEW_S:
                _renew(self._path)
                renewed = now
            time.sleep(_POLL_S)
        return True

    def _is_next(self) -> bool:
        for path in sorted((self._home / FOLDER).iterdir()):
            process = path.name.split("-")[1] if path.name.count("-") == 2 else ""
            if process == self._process:
                return True
            if is_alive(self._home, process):
                if _is_waiting(path):
                    return False
                continue
            with suppress(OSError):
                path.unlink(missing_ok=True)
        return True


def _renew(path: Path) -> None:
    """Set the file's time to the monotonic clock."""
    now = time.monotonic_ns()
    with suppress(OSError):
        os.utime(path, ns=(now, now))


def _is_waiting(path: Path) -> bool:
    """Whether the ticket was renewed recently. The process that owns the lock file does not renew its ticket."""
    try:
        return time.monotonic_ns() - path.stat().st_mtime_ns < _STOPPED_S * 1e9
    except OSError:
        return False
