"""A missing log: a new one begins only by a person's decision, which is its first event."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from audit_core.errors import StoreRefused
from audit_core.evidence.keys import LOG_KEY
from audit_core.evidence.whole_file import write_new

BEGINNING = "beginning"
"""Marker file during the creation of a log, to tell an interrupted creation from a missing log."""
MAX_REASON = 2_000


@dataclass(frozen=True)
class Restart:
    """A person's decision to begin a new log where one is missing."""

    actor: str
    reason: str


def find_signs(home: Path) -> tuple[str, ...]:
    """Files that exist only in a data directory with a log."""
    if _find_beginning(home).exists():
        return ()
    return tuple(
        f"keys/{LOG_KEY}{ending}" for ending in (".pem", ".pem.next") if os.path.lexists(_find_key(home, ending))
    )


def refuse_lost_log(home: Path, database: Path, restart: Restart | None) -> None:
    """Refuse where the database is missing but other files show that one existed.

    Raises:
        StoreRefused: the log is missing without a decision to restart; or a restart was requested although the log exists.
    """
    is_there = database.is_file() and database.stat().st_size > 0
    signs = () if is_there else find_signs(home)
    if restart is not None and not signs:
        raise StoreRefused(
            "The log of this data directory is not missing.",
            wanted="a data directory with a log key but without a database.",
            remedy="use the existing log, or move the data directory away to begin an empty one.",
        )
    if restart is None and signs:
        raise StoreRefused(
            f"The log of this data directory is missing: {signs[0]} exists, but {database.name} does not. "
            "Nothing was recorded.",
            wanted=f"{database.name} with its events.",
            remedy="restore it from a backup (`home restore`); without one, `log restart --reason WHY` begins a new log "
            "and records the reason.",
        )


def mark_beginning(home: Path) -> None:
    """Mark that the creation of the first log begins."""
    path = _find_beginning(home)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        write_new(path, b"", mode=0o600)


def end_beginning(home: Path) -> None:
    """Remove the marker: the log exists, and its absence is now an error."""
    _find_beginning(home).unlink(missing_ok=True)


def _find_key(home: Path, ending: str) -> Path:
    return home / "keys" / f"{LOG_KEY}{ending}"


def _find_beginning(home: Path) -> Path:
    return home / "keys" / BEGINNING
