"""Step 1: a pack's bytes read as a zip archive in the one way that leaves nothing to interpret, and never written to a disk."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MAX_PACK_BYTES = 128 << 20
MAX_TOTAL_BYTES = 256 << 20
MAX_MEMBER_BYTES = 64 << 20
MAX_MEMBERS = 5_000
MAX_NAME_BYTES = 240
MAX_RATIO = 200
"""Of a member above RATIO_FROM_BYTES: DEFLATE reaches 1032 on zeros, documents stay below 50."""
RATIO_FROM_BYTES = 1 << 20
SUFFIXES = (".json", ".jsonl", ".txt", ".md", ".toml", ".xml", ".html", ".pdf", ".parquet", ".sha256", ".tsr")
"""What a pack is made of. Archives, databases, programs and pickles have no place in it, whatever they hold."""
FOREIGN_STARTS = {b"PK\x03\x04": "a zip archive", b"PK\x05\x06": "a zip archive", b"\x1f\x8b": "a gzip archive"}
"""Not what is inside: what a member begins with when it was renamed."""
_DUCKDB_MARK = slice(8, 12), b"DUCK"
_NAME = re.compile(r"[A-Za-z0-9._/+@=-]+\Z")
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}
_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s4H2IH")
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK, _DESCRIPTOR_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x07\x08"
_STREAMED, _KNOWN_FLAGS = 0x0008, 0x0008 | 0x0006 | 0x0800
"""Sizes after the data; and beside it how hard DEFLATE tried, and names in UTF-8. Encryption and patches are other bits."""
_STORED, _DEFLATED = 0, 8
_ZIP64_FIELD, _UNICODE_NAME_FIELD = 0x0001, 0x7075
_FULL = 0xFFFFFFFF


class BadPack(ValueError):
    """The pack is not what it has to be; the message says where."""


@dataclass(frozen=True)
class Entry:
    """One row of the central directory."""

    name: str
    flags: int
    method: int
    checksum: int
    packed_bytes: int
    size_bytes: int
    start: int


def read_pack(path: Path) -> bytes:
    """The file's bytes, and one more than a pack may have where there are too many.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(MAX_PACK_BYTES + 1)


def read_members(data: bytes) -> Mapping[str, bytes]:
    """Every member by name, held in memory.

    The archive must be its entries one after the other, its directory and its end, with no byte before, between or after.
    Then no two programs can see two different packs in it.

    Raises:
        BadPack: anything else, or a name, kind or size that no pack has.
    """
    if len(data) > MAX_PACK_BYTES:
        raise BadPack(f"the file is larger than {MAX_PACK_BYTES:,} bytes")
    entries, directory = _read_directory(data)
    _check_names([entry.name for entry in entries])
    if (total := sum(entry.size_bytes for entry in entries)) > MAX_TOTAL_BYTES:
        raise BadPack(f"{total:,} bytes unpacked; at most {MAX_TOTAL_BYTES:,}")
    members, position = {}, 0
    for entry in sorted(entries, key=lambda entry: entry.start):
        if entry.start != position:
            raise BadPack(f"bytes that belong to no member, or members that overlap, before {entry.name}")
        members[entry.name], position = _read_member(data, directory, entry)
    if position != directory:
        raise BadPack("bytes that belong to no member before the directory")
    return dict(sorted(members.items()))


def check_name(name: str) -> None:
    """Refuse a member name that some file system would read as another one, or as a place outside.

    Raises:
        BadPack: with the reason.
    """
    shown = ascii(name[:80])
    if not 0 < len(name) <= MAX_NAME_BYTES or not _NAME.match(name):
        raise BadPack(f"unsafe member name {shown}")
    for part in name.split("/"):
        if not part.strip(".") or part.endswith(".") or part.split(".")[0].upper() in _DEVICES:
            raise BadPack(f"unsafe member name {shown}")
    if not name.endswith(SUFFIXES):
        raise BadPack(f"a kind of member that packs do not hold: {shown}")


def _check_names(names: list[str]) -> None:
    folded: dict[str, str] = {}
    for name in names:
        check_name(name)
        if twin := folded.get(name.casefold()):
            raise BadPack(f"two members have one name: {twin} and {name}")
        folded[name.casefold()] = name
    for name in names:
        for end in (place for place, letter in enumerate(name) if letter == "/"):
            if name[:end].casefold() in folded:
                raise BadPack(f"{name[:end]} is a member and a folder")


def _read_directory(data: bytes) -> tuple[list[Entry], int]:
    """The rows of the central directory, and where it begins."""
    end = len(data) - _END.size
    if end < 0 or data[end : end + 4] != _END_MARK:
        raise BadPack("no zip archive, or bytes after its end")
    _, disk, first_disk, here, count, size_bytes, directory, comment = _END.unpack(data[end:])
    if disk or first_disk or here != count or comment:
        raise BadPack("an archive in parts, or with a comment")
    if count > MAX_MEMBERS:
        raise BadPack(f"{count:,} members or zip64; at most {MAX_MEMBERS:,}")
    if directory + size_bytes != end:
        raise BadPack("the directory does not reach from where it says to the end: zip64, or bytes before the archive")
    entries, position = [], directory
    for _ in range(count):
        entry, position = _read_row(data, position, end)
        entries.append(entry)
    if position != end:
        raise BadPack("the directory holds more than its members")
    return entries, directory


def _read_row(data: bytes, position: int, end: int) -> tuple[Entry, int]:
    if position + _CENTRAL.size > end or data[position : position + 4] != _CENTRAL_MARK:
        raise BadPack("the directory holds fewer members than it says")
    (_, _, _, flags, method, _, _, checksum, packed, size_bytes, name_len, extra_len, comment, disk, _, attributes, start) = (
        _CENTRAL.unpack_from(data, position)
    )  # fmt: skip
    name_at = position + _CENTRAL.size
    following = name_at + name_len + extra_len + comment
    name = data[name_at : name_at + name_len].decode("latin-1")
    shown = ascii(name[:80])
    if flags & ~_KNOWN_FLAGS:
        raise BadPack(f"{shown} is encrypted or packed in a way that packs do not use")
    if method not in (_STORED, _DEFLATED):
        raise BadPack(f"{shown} is packed by method {method}; stored and DEFLATE are read")
    if attributes >> 16 & 0o170000 not in (0, 0o100000) or attributes & 0x10:
        raise BadPack(f"{shown} is a link, a folder or a device, not a file")
    if _FULL in (packed, size_bytes, start) or disk or comment:
        raise BadPack(f"{shown} is written as zip64, on another disk or with a comment")
    _check_extra(data[name_at + name_len : name_at + name_len + extra_len], shown)
    if size_bytes > MAX_MEMBER_BYTES or (size_bytes > RATIO_FROM_BYTES and size_bytes > packed * MAX_RATIO):
        raise BadPack(f"{shown} would unpack to {size_bytes:,} bytes from {packed:,}")
    return Entry(name, flags, method, checksum, packed, size_bytes, start), following


def _check_extra(extra: bytes, shown: str) -> None:
    """Fields that archivers add (times, owners) mean nothing here; those that give a size or a name anew are refused."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        if kind in (_ZIP64_FIELD, _UNICODE_NAME_FIELD):
            raise BadPack(f"{shown} has a second size or name (zip64)")
        position += 4 + length
    if position != len(extra):
        raise BadPack(f"{shown} has an extra field that is cut off")


def _read_member(data: bytes, directory: int, entry: Entry) -> tuple[bytes, int]:
    """The unpacked bytes, and where the next entry must begin; all of it lies before the directory."""
    if data[entry.start : entry.start + 4] != _LOCAL_MARK:
        raise BadPack(f"{entry.name} does not begin where the directory says")
    _, _, flags, method, _, _, checksum, packed, size_bytes, name_len, extra_len = _LOCAL.unpack_from(data, entry.start)
    name_at = entry.start + _LOCAL.size
    body = name_at + name_len + extra_len
    says = (data[name_at : name_at + name_len], flags, method)
    sizes = (checksum, packed, size_bytes)
    wanted = (entry.checksum, entry.packed_bytes, entry.size_bytes)
    if says != (entry.name.encode(), entry.flags, entry.method) or (
        sizes != wanted and not (flags & _STREAMED and sizes == (0, 0, 0))
    ):
        raise BadPack(f"{entry.name} says other things of itself than the directory does")
    _check_extra(data[name_at + name_len : body], entry.name)
    end = body + entry.packed_bytes
    if end > directory:
        raise BadPack(f"{entry.name} is cut off")
    content = _unpack(data[body:end], entry)
    return content, end + (_measure_descriptor(data[end : end + 16], wanted, entry.name) if flags & _STREAMED else 0)


def _measure_descriptor(found: bytes, wanted: tuple[int, int, int], name: str) -> int:
    plain = struct.pack("<3I", *wanted)
    for form in (_DESCRIPTOR_MARK + plain, plain):
        if found.startswith(form):
            return len(form)
    raise BadPack(f"{name} is followed by other sizes than the directory says")


def _unpack(packed: bytes, entry: Entry) -> bytes:
    content = packed
    if entry.method == _DEFLATED:
        reader = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = reader.decompress(packed, entry.size_bytes + 1)
        except zlib.error as error:
            raise BadPack(f"{entry.name} cannot be unpacked: {error}") from error
        if not reader.eof or reader.unused_data:
            raise BadPack(f"{entry.name} unpacks to more or less than the directory says")
    if len(content) != entry.size_bytes or zlib.crc32(content) != entry.checksum:
        raise BadPack(f"{entry.name} unpacks to other bytes than the directory says")
    for start, kind in FOREIGN_STARTS.items():
        if content.startswith(start):
            raise BadPack(f"{entry.name} is {kind}")
    place, mark = _DUCKDB_MARK
    if content[place] == mark:
        raise BadPack(f"{entry.name} is a DuckDB database")
    return content
