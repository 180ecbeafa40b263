"""Whether the process that began a run still lives: it holds a lock file, which the system lets go of when it dies."""

from __future__ import annotations

import atexit
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from filelock import FileLock, Timeout

_HOMES = 64
"""Far more than a process has; each holds one open file."""


@dataclass(frozen=True)
class ProcessLock:
    """This process in one home, for as long as it lives."""

    token: str
    lock: FileLock


def name_process(home: Path) -> str:
    """This process as `is_alive` will know it."""
    return _begin(home.resolve(), os.getpid()).token


def is_alive(home: Path, token: str) -> bool:
    """Whether the process of that name still runs on this machine."""
    path = _find_path(home.resolve(), token)
    if token == name_process(home):
        return True
    if not re.fullmatch(r"[0-9a-f]{32}", token) or not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            _leave(path)
    except Timeout:
        return True
    return False


@lru_cache(maxsize=_HOMES)
def _begin(home: Path, process: int) -> ProcessLock:
    (home / "running").mkdir(mode=0o700, exist_ok=True)
    token = secrets.token_hex(16)
    lock = FileLock(_find_path(home, token), mode=0o600)
    lock.acquire()
    atexit.register(_leave, _find_path(home, token))
    return ProcessLock(token, lock)


def _leave(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _find_path(home: Path, token: str) -> Path:
    return home / "running" / f"{token}.lock"
