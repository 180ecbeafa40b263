"""First come, first served access to the store across processes; killed and stopped processes are passed over."""

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
"""A waiting process that has not renewed its ticket for so long is stopped, or its machine is: it is passed over."""
_NUMBERS = itertools.count()


@contextmanager
def wait_in_queue(home: Path) -> Iterator[Ticket]:
    """Hold a ticket: a file named by the time and the process. It orders those who wait; the lock file keeps them apart.

    The time is the machine's monotonic clock, which all its processes share: setting the wall clock reorders nothing.
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
    """One place in the queue.

    Threads of one process have a ticket each, and of them one at a time asks. It may go as soon as the oldest ticket is any of its
    process: the others of that process wait for it, and it must not wait for them.
    """

    def __init__(self, home: Path, process: str, path: Path) -> None:
        self._home, self._process, self._path = home, process, path

    def wait(self, wait_s: float) -> bool:
        """Whether the turn of this process came within so many seconds."""
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
    """Write the monotonic clock as the file's time."""
    now = time.monotonic_ns()
    with suppress(OSError):
        os.utime(path, ns=(now, now))


def _is_waiting(path: Path) -> bool:
    """Whether the ticket was renewed lately. The process at work renews nothing, and the lock file keeps others out of it."""
    try:
        return time.monotonic_ns() - path.stat().st_mtime_ns < _STOPPED_S * 1e9
    except OSError:
        return False
