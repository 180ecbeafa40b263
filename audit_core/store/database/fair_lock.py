"""Threads of one process take turns in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque


class FairLock:
    """A plain lock goes to whichever thread runs when it is let go; with twenty, some were seen to wait for 20 seconds."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._queue: deque[threading.Lock] = deque()
        """Whose turn it is stands first; each of the others waits at a lock of its own."""

    def acquire(self, wait_s: float) -> bool:
        """Whether the turn came within so many seconds; if so, it has to be given on."""
        mine = threading.Lock()
        mine.acquire()
        with self._guard:
            self._queue.append(mine)
            if self._queue[0] is mine:
                return True
        if mine.acquire(timeout=wait_s):
            return True
        with self._guard:
            # It may have come between giving up and here.
            is_mine = self._queue[0] is mine
            if not is_mine:
                self._queue.remove(mine)
        return is_mine

    def release(self) -> None:
        """To whoever has waited longest."""
        with self._guard:
            self._queue.popleft()
            if self._queue:
                self._queue[0].release()
