"""Files of a home are their owner's alone: folders 0700, files 0600, whatever the process's umask says."""

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
    """Take from others what they may do with a home of ours and all in it; once per process.

    A folder that is another person's, or shared as temporary folders are, is left as it is.

    Args:
        process: its id, as a forked one looks for itself.

    Returns:
        How many files and folders could be used by others.
    """
    if os.name != "posix" or not _is_own(home):
        return 0
    found = [home, *(Path(folder) / name for folder, *names in os.walk(home) for part in names for name in part)]
    changed = sum(tighten(path) for path in found)
    if changed:
        _LOG.warning(
            "%d files and folders of the home %s could be used by other accounts; now by its owner alone.",
            changed, home,
        )  # fmt: skip
    return changed


def tighten_top(home: Path) -> None:
    """The same for the files that lie in the home itself: what the database engine makes has the mode of the umask."""
    if os.name == "posix" and _is_own(home):
        for entry in os.scandir(home):
            if entry.is_file(follow_symlinks=False):
                tighten(Path(entry.path))


def tighten(path: Path) -> bool:
    """Whether others could use a file or folder; a link is no way out of the home and stays as it is."""
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
