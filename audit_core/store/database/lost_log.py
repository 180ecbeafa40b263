"""A home whose log is gone: a new one does not begin by itself, but by a person's decision that is its first event."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from audit_core.errors import StoreRefused
from audit_core.evidence.keys import LOG_KEY
from audit_core.evidence.whole_file import write_new

BEGINNING = "beginning"
"""Beside the log's key from before it is made until its log is there: a start that was cut short is not a log that is gone."""
MAX_REASON = 2_000


@dataclass(frozen=True)
class Restart:
    """That a new log begins where one is gone, and who says so."""

    actor: str
    reason: str


def find_signs(home: Path) -> tuple[str, ...]:
    """Files here that only a home with a log has."""
    if _find_beginning(home).exists():
        return ()
    return tuple(
        f"keys/{LOG_KEY}{ending}" for ending in (".pem", ".pem.next") if os.path.lexists(_find_key(home, ending))
    )


def refuse_lost_log(home: Path, database: Path, restart: Restart | None) -> None:
    """Stop where the database is gone and other files say that there was one.

    Raises:
        StoreRefused: so it is, and nobody decided; or somebody did, and the log is there.
    """
    is_there = database.is_file() and database.stat().st_size > 0
    signs = () if is_there else find_signs(home)
    if restart is not None and not signs:
        raise StoreRefused(
            "No log of this home is gone.",
            wanted="a home whose database is missing beside its key.",
            remedy="go on with the log that is there; move the home away to begin with an empty one.",
        )
    if restart is None and signs:
        raise StoreRefused(
            f"The log of this home is gone: {database.name} is missing, and {signs[0]} says that there was one. "
            "Nothing was recorded.",
            wanted=f"{database.name} as it was, with its events.",
            remedy="put it back from a copy (`home restore`); if there is none, `log restart --reason WHY` begins another log, "
            "which says so in its first events.",
        )


def mark_beginning(home: Path) -> None:
    """Say that the first log of this home is about to be made."""
    path = _find_beginning(home)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        write_new(path, b"", mode=0o600)


def end_beginning(home: Path) -> None:
    """The log is there: from now on its absence is a loss."""
    _find_beginning(home).unlink(missing_ok=True)


def _find_key(home: Path, ending: str) -> Path:
    return home / "keys" / f"{LOG_KEY}{ending}"


def _find_beginning(home: Path) -> Path:
    return home / "keys" / BEGINNING
