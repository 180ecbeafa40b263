"""Openings of withheld prompts, salts and text: stored only in the data directory that exported the pack."""

from __future__ import annotations

from pathlib import Path

from audit_core.errors import StoreRefused
from audit_core.evidence.whole_file import write_new

MAX_ID = 64


def keep_openings(home: Path, pack_id: str, data: bytes) -> Path:
    """Store the openings before the pack is written, with mode 0600: without its salts, a pack cannot be opened."""
    folder = home / "openings"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{pack_id}.json"
    write_private(path, data)
    return path


def load_openings(home: Path, pack_id: str) -> bytes:
    """Read a pack's openings.

    Raises:
        StoreRefused: this data directory exported no such pack, or nothing was withheld from it.
    """
    path = home / "openings" / f"{pack_id}.json"
    if not pack_id.isalnum() or len(pack_id) > MAX_ID or not path.is_file():
        raise StoreRefused(
            f"No openings of pack {pack_id[:40]!r} here.",
            wanted="a pack that this data directory exported with --withhold-prompts.",
            remedy="ask the preparer.",
        )
    return path.read_bytes()


def write_private(path: Path, data: bytes) -> None:
    """Write a new file with mode 0600.

    Raises:
        StoreRefused: the file exists already, or cannot be written.
    """
    try:
        write_new(path, data, mode=0o600)
    except OSError as error:
        raise StoreRefused(
            f"{path} cannot be written: {error.strerror}.", wanted="a new file.", remedy="choose another name."
        ) from error
