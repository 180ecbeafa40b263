"""The shipped files of the sample: an archive, its external checkpoint, and a note with date and digests."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from audit_core.data_folder import DATA
from audit_core.errors import IntegrityError
from audit_core.store.database.read_only import SCHEMA

FOLDER = DATA / "sample"
ARCHIVE, CHECKPOINT, NOTE = "sample-home.zip", "checkpoint.txt", "sample.json"


@dataclass(frozen=True)
class SampleNote:
    """When, with which code, and as which bytes the sample was recorded."""

    recorded_at: str
    """RFC 3339, UTC, microseconds."""
    code_sha256: str
    archive_sha256: str


def read_note(folder: Path | None = None) -> SampleNote | None:
    """Note of the sample in a folder, or of the one that ships; None where there is none.

    Raises:
        IntegrityError: the note cannot be read.
    """
    path = (folder or FOLDER) / NOTE
    return _read(path) if path.is_file() else None


@cache
def _read(path: Path) -> SampleNote:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("schema") != SCHEMA:
            raise ValueError("another schema")
        return SampleNote(**found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"The note of the sample cannot be read: {path.name}: {error}") from error


def check_archive(note: SampleNote, folder: Path = FOLDER) -> Path:
    """Path of the archive, after a check of its digest.

    Raises:
        IntegrityError: the archive is missing or has other bytes.
    """
    path = folder / ARCHIVE
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "nothing"
    if found != note.archive_sha256:
        raise IntegrityError(
            f"The sample does not match its digest: {path.name} is {found[:12]}, not {note.archive_sha256[:12]}. "
            "Install Assay again, or remove the sample: `home sample remove`."
        )
    return path
