"""What opens the prompts that a pack withholds: salts and text, kept by whoever made the pack and by nobody else."""

from __future__ import annotations

from pathlib import Path

from audit_core.errors import StoreRefused
from audit_core.evidence.whole_file import write_new

MAX_ID = 64


def keep_openings(home: Path, pack_id: str, data: bytes) -> Path:
    """Write them before the pack exists, readable by their owner alone: a pack whose salts are lost can never be opened."""
    folder = home / "openings"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{pack_id}.json"
    write_private(path, data)
    return path


def load_openings(home: Path, pack_id: str) -> bytes:
    """Read them back.

    Raises:
        StoreRefused: this home made no such pack, or withheld nothing from it.
    """
    path = home / "openings" / f"{pack_id}.json"
    if not pack_id.isalnum() or len(pack_id) > MAX_ID or not path.is_file():
        raise StoreRefused(
            f"No openings of pack {pack_id[:40]!r} here.",
            wanted="a pack that was made in this home with --withhold-prompts.",
            remedy="ask whoever prepared it.",
        )
    return path.read_bytes()


def write_private(path: Path, data: bytes) -> None:
    """A new file with mode 0600.

    Raises:
        StoreRefused: a file is there already, or none can be written.
    """
    try:
        write_new(path, data, mode=0o600)
    except OSError as error:
        raise StoreRefused(
            f"{path} cannot be written: {error.strerror}.", wanted="a new file.", remedy="choose another name."
        ) from error
