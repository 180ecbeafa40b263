"""One queue for the store across processes: whoever came first goes first, and a process that was killed holds up nobody."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from audit_core.store.life import is_alive, name_process

FOLDER = "queue"
_POLL_S = 0.003
_NUMBERS = itertools.count()


@contextmanager
def stand_in_queue(home: Path) -> Iterator[Ticket]:
    """Hold a ticket: a file named by the time and the process. It orders those who wait; the lock file keeps them apart."""
    process = name_process(home)
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{time.time_ns():020d}-{process}-{next(_NUMBERS)}"
    path.touch(mode=0o600)
    try:
        yield Ticket(home, process)
    finally:
        path.unlink(missing_ok=True)


class Ticket:
    """One place in the queue.

    Threads of one process have a ticket each, and of them one at a time asks. It may go as soon as the oldest ticket is any of its
    process: the others of that process wait for it, and it must not wait for them.
    """

    def __init__(self, home: Path, process: str) -> None:
        self._home, self._process = home, process

    def wait(self, wait_s: float) -> bool:
        """Whether the turn of this process came within so many seconds."""
        end = time.monotonic() + wait_s
        while not self._is_next():
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL_S)
        return True

    def _is_next(self) -> bool:
        for path in sorted((self._home / FOLDER).iterdir()):
            process = path.name.split("-")[1] if path.name.count("-") == 2 else ""
            if process == self._process:
                return True
            if is_alive(self._home, process):
                return False
            with suppress(OSError):
                path.unlink(missing_ok=True)
        return True
