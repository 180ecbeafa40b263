"""A fair lock: threads acquire it in order of arrival."""

from __future__ import annotations

import threading
from collections import deque


class FairLock:
    """First in, first out; with `threading.Lock` and twenty threads, some waited for 20 seconds."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._queue: deque[threading.Lock] = deque()
        """Queue: the first entry owns the lock, every other thread waits on its own entry."""

    def acquire(self, wait_s: float) -> bool:
        """Wait at most `wait_s` seconds; returns whether the lock was acquired and must be released."""
        mine = threading.Lock()
        mine.acquire()
        with self._guard:
            self._queue.append(mine)
            if self._queue[0] is mine:
                return True
        if mine.acquire(timeout=wait_s):
            return True
        with self._guard:
            # The lock may have been passed on between the timeout and this line.
            is_mine = self._queue[0] is mine
            if not is_mine:
                self._queue.remove(mine)
        return is_mine

    def release(self) -> None:
        """Pass the lock to the thread that has waited longest."""
        with self._guard:
            self._queue.popleft()
            if self._queue:
                self._queue[0].release()
