"""File permissions of a data directory: folders 0700 and files 0600, regardless of the umask."""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

FOLDER_MODE, FILE_MODE = 0o700, 0o600
_OTHERS = 0o077
_LOG = logging.getLogger(__name__)


@lru_cache(maxsize=64)
def tighten_home(home: Path, process: int) -> int:
    """Remove other accounts' permissions on a data directory and all its files, once per process.

    A folder that another account owns, or that is shared like a temporary folder, is left unchanged.

    Args:
        process: process id, so that a forked process repeats the check.

    Returns:
        Number of files and folders that other accounts could access.
    """
    if os.name != "posix" or not _is_own(home):
        return 0
    found = [home, *(Path(folder) / name for folder, *names in os.walk(home) for part in names for name in part)]
    changed = sum(tighten(path) for path in found)
    if changed:
        _LOG.warning(
            "%d files and folders of the data directory %s were accessible to other accounts; access is now restricted.",
            changed, home,
        )  # fmt: skip
    return changed


def tighten_top(home: Path) -> None:
    """Restrict the top-level files again: the database engine creates files by the umask."""
    if os.name == "posix" and _is_own(home):
        for entry in os.scandir(home):
            if entry.is_file(follow_symlinks=False):
                tighten(Path(entry.path))


def tighten(path: Path) -> bool:
    """Restrict a file or folder and return whether other accounts could access it; links are skipped."""
    with suppress(OSError):
        seen = path.lstat()
        is_kind = stat.S_ISREG(seen.st_mode) or stat.S_ISDIR(seen.st_mode)
        if is_kind and seen.st_mode & _OTHERS and seen.st_uid == os.geteuid():
            os.chmod(path, FOLDER_MODE if stat.S_ISDIR(seen.st_mode) else FILE_MODE, follow_symlinks=True)
            return True
    return False


def _is_own(home: Path) -> bool:
    try:
        seen = home.stat()
    except OSError:
        return False
    return seen.st_uid == os.geteuid() and not seen.st_mode & stat.S_ISVTX
