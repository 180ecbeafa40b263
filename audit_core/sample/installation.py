"""Unpack the sample under a data directory, remove it from an installation, and bring it back."""

from __future__ import annotations

from pathlib import Path

from audit_core.errors import Refused, StoreRefused
from audit_core.evidence.whole_file import write_whole
from audit_core.sample.shipped_sample import CHECKPOINT, FOLDER, check_archive, read_note
from audit_core.store.database.read_only import RECORD
from audit_core.store.log.backup import restore

CHANGE = "sample-change.json"
"""File in the sample's data directory with the recorded comparison of two models."""
UNPACKED = "sample"
"""Folder below a data directory with the unpacked sample, one folder per archive; a backup excludes it."""
REMOVED = "sample-removed"
"""File in a data directory that removes the sample; deleting it brings the sample back."""


def open_sample(home: Path, *, shipped: Path | None = None) -> Path | None:
    """Folder of the unpacked sample; unpacking checks digests and log. None where no sample is shipped.

    Servers and sessions share the folder. It is complete as soon as it exists, because it gets its name last.

    Args:
        shipped: folder with the archive; that of this version unless given.

    Raises:
        IntegrityError: the archive differs from its digest, or its log fails verification.
        StoreRefused: the folder cannot be written.
    """
    shipped = shipped or FOLDER
    note = read_note(shipped)
    if note is None:
        return None
    folder = home / UNPACKED / note.archive_sha256[:16]
    if (folder / RECORD).is_file():
        return folder
    archive = check_archive(note, shipped)
    try:
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        checkpoint = (shipped / CHECKPOINT).read_text(encoding="utf-8")
        restore(archive, folder, external=[checkpoint])
    except (Refused, OSError) as error:
        # Another process may have unpacked it meanwhile.
        if (folder / RECORD).is_file():
            return folder
        raise StoreRefused(
            f"The sample cannot be unpacked: {error}",
            wanted="a writable data directory.",
            remedy="check the disk, or remove the sample: `home sample remove`.",
        ) from error
    return folder


def is_removed(home: Path) -> bool:
    """Whether the sample was removed from this data directory."""
    return (home / REMOVED).exists()


def remove_sample(home: Path) -> None:
    """Remove the sample from every page of this data directory; `restore_sample` brings it back."""
    text = b"The sample organisation is removed. Delete this file to bring it back.\n"
    write_whole(home / REMOVED, text, mode=0o600)


def restore_sample(home: Path) -> None:
    """Bring the sample back; it appears while the data directory has no records of its own."""
    (home / REMOVED).unlink(missing_ok=True)
