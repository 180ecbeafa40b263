"""Writes a pack: one zip archive, the same bytes for the same files, and never half of one."""

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
"""The earliest time a zip archive can hold: when a pack was made stands in `pack.json`, where it is signed."""
_REGULAR_FILE = 0o100644 << 16
_UNIX = 3


def make_manifest(files: Mapping[str, bytes]) -> bytes:
    """`MANIFEST.sha256` over these files, as `sha256sum -c` reads it; itself and signatures are left out."""
    names = sorted(name for name in files if not is_outside_manifest(name))
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in names).encode()


def write_pack(path: Path, files: Mapping[str, bytes]) -> None:
    """Write the archive to a temporary file beside its place, then move it there whole; as `build_pack`.

    Raises:
        Refused: also a place that cannot be written.
    """
    data = build_pack(files)
    try:
        write_whole(path, data)
    except OSError as error:
        raise Refused(
            f"{path} cannot be written: {error.strerror or error}.",
            wanted="a place for a pack, in a folder that is there.",
            remedy="choose another; a pack that was there is as it was.",
        ) from error


def build_pack(files: Mapping[str, bytes]) -> bytes:
    """The archive's bytes.

    Args:
        files: every member by name, manifest and signatures included.

    Raises:
        Refused: a name, kind or size that the verifier would refuse.
    """
    data = _build_archive(files)
    try:
        read = read_members(data)
    except BadPack as error:
        raise Refused(
            f"No pack can be made of these files: {error}.",
            wanted=f"the names and kinds of docs/reference/pack.md, {MAX_PACK_BYTES:,} bytes at most.",
            remedy="leave the file out, or make it smaller.",
        ) from error
    if read != dict(files):
        raise IntegrityError("The archive does not read back to the files it was made of.")
    return data


def open_pack(path: Path) -> dict[str, bytes]:
    """The members of a pack.

    Raises:
        Refused: no such file.
        IntegrityError: not a pack's container.
    """
    try:
        return read_archive(read_pack(path), path.name)
    except OSError as error:
        raise Refused(
            f"{path.name} cannot be read: {error.strerror}.", wanted="an evidence pack.", remedy="check the path."
        ) from error
    except BadPack as error:
        raise IntegrityError(f"{path.name} is no pack: {error}.") from error


def read_archive(data: bytes, name: str) -> dict[str, bytes]:
    """The members of a pack's bytes.

    Args:
        name: what an error calls it.

    Raises:
        IntegrityError: not a pack's container.
    """
    try:
        return dict(read_members(data))
    except BadPack as error:
        raise IntegrityError(f"{name} is no pack: {error}.") from error


def _build_archive(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", allowZip64=False) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type, info.external_attr, info.create_system = zipfile.ZIP_DEFLATED, _REGULAR_FILE, _UNIX
            archive.writestr(info, files[name], compresslevel=9)
    return buffer.getvalue()
