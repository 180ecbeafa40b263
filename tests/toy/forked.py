"""A process of its own that does one thing, forked from this one: it finds all libraries loaded."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable

LIMIT_S = 120
"""A child that takes longer is ended, so that a test never waits for one that hangs."""
Say = Callable[[object], None]
"""Writes one line to the process that began it."""


class Forked:
    """A running child, and what it says."""

    def __init__(self, act: Callable[[Say], None]) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(reading)
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(LIMIT_S)
                act(lambda line: os.write(writing, f"{line}\n".encode()) and None)
                status = 0
            except BaseException:  # noqa: BLE001
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(writing)
        self.said = os.fdopen(reading, encoding="utf-8")

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit code, or the signal that ended it, below zero."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def end(self) -> tuple[int, list[str]]:
        """Its exit code, and all lines that it said and that were not read before."""
        with self.said:
            lines = self.said.read().split("\n")[:-1]
        return self.wait(), lines
