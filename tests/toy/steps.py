"""Counts the steps that change what is on the disk, and ends the process at one of them."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from audit_core import errors
from audit_core.store.database import connection

OURS = str(Path(errors.__file__).parent)
CHANGES = ("INSERT", "UPDATE", "DELETE", "CREATE")
NAMES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.chmod"}


class Steps:
    """Counts steps, and ends the process at one of them."""

    def __init__(self, home: Path, last: int | None) -> None:
        self.home, self.last = str(home), last
        self.sites: list[str] = []

    def take(self, what: str) -> None:
        self.sites.append(" < ".join([what, *_name_callers(sys._getframe(1))]))
        if len(self.sites) - 1 == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch_calls(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Python tells of these before it makes them, whichever function asked for them."""
        if event in NAMES and str(arguments[0]).startswith(self.home):
            path = Path(arguments[0])
            # A folder that is there is not made again, and what is gone is not removed.
            if path.exists() != (event == "os.mkdir"):
                self.take(event)

    def watch(self) -> None:
        sys.addaudithook(self.watch_calls)
        sync, open_file, find_engine = os.fsync, io.open, connection._find_engine

        def take_sync(descriptor: int) -> None:
            self.take("sync")
            sync(descriptor)

        def open_watched(path: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            file = open_file(path, mode, *args, **options)
            return HalfWritten(file, self) if set(mode) & set("wax") else file

        os.fsync = take_sync
        # `Path.open`, `Path.write_bytes` and `os.fdopen` all end here.
        io.open = open_watched  # type: ignore[assignment]
        connection._find_engine = lambda path: Watched(find_engine(path), self)  # type: ignore[assignment, return-value]


class HalfWritten:
    """A file with a step between the halves of what is written to it."""

    def __init__(self, file: Any, steps: Steps) -> None:
        self.file, self.steps = file, steps

    def write(self, data: Any) -> int:
        self.steps.take("first half")
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        self.steps.take("second half")
        self.file.write(data[len(data) // 2 :])
        return len(data)

    def __enter__(self) -> HalfWritten:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class Watched:
    """A connection whose changes and commits are steps."""

    def __init__(self, connection: Any, steps: Steps) -> None:
        self.connection, self.steps, self.has_changed = connection, steps, False

    def cursor(self) -> Watched:
        return Watched(self.connection.cursor(), self.steps)

    def execute(self, statement: str, *arguments: Any) -> Any:
        verb = statement.split()[0]
        if verb in CHANGES and "IF NOT EXISTS" not in statement:
            self.has_changed = True
            self.steps.take(verb)
        return self.connection.execute(statement, *arguments)

    def commit(self) -> None:
        if self.has_changed:
            self.steps.take("commit")
        self.connection.commit()
        if self.has_changed:
            self.steps.take("committed")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


def _name_callers(frame: FrameType | None) -> list[str]:
    found = []
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(OURS):
            found.append(f"{Path(code.co_filename).stem}.{code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    return found
