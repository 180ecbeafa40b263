"""Whether the process of a run is still running: its lock file is released when the process exits."""

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
"""Maximum data directories per process; each keeps one file open."""


@dataclass(frozen=True)
class ProcessLock:
    """Lock file of this process in one data directory, until it exits."""

    token: str
    lock: FileLock


def name_process(home: Path) -> str:
    """Token of this process for `is_alive`."""
    return _begin(home.resolve(), os.getpid()).token


def is_alive(home: Path, token: str) -> bool:
    """Whether the process with this token is still running on this machine."""
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
