"""The sample organisation: a data directory that was recorded once and accepts no change."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from audit_core.errors import IntegrityError, SampleRefused
from audit_core.store.database.events import read_clock

RECORD = "sample-record.json"
"""File that marks a data directory as the sample."""
SCHEMA = "assay/sample/1"


@dataclass(frozen=True)
class SampleRecord:
    """When and with which code the sample was recorded."""

    recorded_at: str
    """RFC 3339, UTC, microseconds."""
    code_sha256: str
    people: tuple[str, ...]
    """Names of the signing keys of the recording; the private keys were destroyed."""


def find_record(home: Path) -> SampleRecord | None:
    """Record of the sample in this data directory; None for any other data directory.

    Raises:
        IntegrityError: the record cannot be read.
    """
    path = home / RECORD
    return _read(path) if path.is_file() else None


@lru_cache(maxsize=8)
def _read(path: Path) -> SampleRecord:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("schema") != SCHEMA:
            raise ValueError("another schema")
        return SampleRecord(**found | {"people": tuple(found["people"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"The record of the sample cannot be read: {path.name}: {error}") from error


def refuse_change(home: Path, what: str) -> None:
    """Refuse a write to the sample.

    Args:
        what: what was refused, as the end of a sentence.

    Raises:
        SampleRefused: this data directory is the sample.
    """
    if find_record(home) is not None:
        raise refuse_sample(what)


def refuse_sample(what: str) -> SampleRefused:
    """The error for a write to the sample."""
    return SampleRefused(
        f"This is the sample organisation, which is read-only: {what}.",
        wanted="a record of your own.",
        remedy="freeze a claim of your own, or hide the sample.",
    )


def read_record_clock(home: Path) -> str:
    """The time at which records of a data directory are judged: now, but for the sample its recording."""
    found = find_record(home)
    return read_clock() if found is None else found.recorded_at
