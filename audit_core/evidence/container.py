"""Write a pack: one zip archive, deterministic and written atomically."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.whole_file import write_whole
from audit_core.verifier.container import MAX_PACK_BYTES, BadPack, read_members, read_pack
from audit_core.verifier.manifest import is_outside_manifest

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip entry can have. The signed time of creation is in `pack.json`."""
_REGULAR_FILE = 0o100644 << 16
_UNIX = 3


def make_manifest(files: Mapping[str, bytes]) -> bytes:
    """Return `MANIFEST.sha256` in the format of `sha256sum -c`, without the manifest itself and the signatures."""
    names = sorted(name for name in files if not is_outside_manifest(name))
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in names).encode()


def write_pack(path: Path, files: Mapping[str, bytes]) -> None:
    """Write the archive of `build_pack` atomically: to a temporary file in the same folder, then rename.

    Raises:
        Refused: as `build_pack`, or a path that cannot be written.
    """
    data = build_pack(files)
    try:
        write_whole(path, data)
    except OSError as error:
        raise Refused(
            f"{path} cannot be written: {error.strerror or error}.",
            wanted="a file path in an existing, writable folder.",
            remedy="choose another path; an existing pack is unchanged.",
        ) from error


def build_pack(files: Mapping[str, bytes]) -> bytes:
    """Return the archive's bytes.

    Args:
        files: every member by name, including manifest and signatures.

    Raises:
        Refused: a name, type or size that the verifier rejects.
    """
    data = _build_archive(files)
    try:
        read = read_members(data)
    except BadPack as error:
        raise Refused(
            f"These files cannot form a pack: {error}.",
            wanted=f"names and types listed in docs/reference/pack.md, at most {MAX_PACK_BYTES:,} bytes.",
            remedy="remove the file, or reduce its size.",
        ) from error
    if read != dict(files):
        raise IntegrityError("The archive does not read back to its input files.")
    return data


def open_pack(path: Path) -> dict[str, bytes]:
    """Return the members of a pack file.

    Raises:
        Refused: the file cannot be read.
        IntegrityError: the file is not a valid pack archive.
    """
    try:
        return read_archive(read_pack(path), path.name)
    except OSError as error:
        raise Refused(
            f"{path.name} cannot be read: {error.strerror}.", wanted="an evidence pack.", remedy="check the path."
        ) from error
    except BadPack as error:
        raise IntegrityError(f"{path.name} is not a pack: {error}.") from error


def read_archive(data: bytes, name: str) -> dict[str, bytes]:
    """Return the members of a pack's bytes.

    Args:
        name: the pack's name in error messages.

    Raises:
        IntegrityError: the bytes are not a valid pack archive.
    """
    try:
        return dict(read_members(data))
    except BadPack as error:
        raise IntegrityError(f"{name} is not a pack: {error}.") from error


def _build_archive(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", allowZip64=False) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type, info.external_attr, info.create_system = zipfile.ZIP_DEFLATED, _REGULAR_FILE, _UNIX
            archive.writestr(info, files[name], compresslevel=9)
    return buffer.getvalue()
