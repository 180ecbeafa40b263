"""Files that commands read and write."""

from __future__ import annotations

from pathlib import Path

from audit_core.errors import Refused
from audit_core.evidence.whole_file import write_whole


def read_file(path: Path, most: int) -> bytes:
    """Read a file of at most `most` bytes.

    Raises:
        Refused: it cannot be read, or is larger.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise Refused(
            f"{path} cannot be read: {error.strerror}.", wanted="a file.", remedy="check the path."
        ) from error
    if len(data) > most:
        raise Refused(f"{path} has more than {most:,} bytes.", wanted="fewer.", remedy="check the path.")
    return data


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole, or not at all.

    Raises:
        Refused: it cannot be written.
    """
    try:
        write_whole(path, data)
    except OSError as error:
        raise Refused(
            f"{path} cannot be written: {error.strerror}.", wanted="a writable file.", remedy="choose another path."
        ) from error
