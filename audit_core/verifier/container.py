"""Step 1, container: reads a pack as a zip archive, strictly and in memory only."""

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
"""Compression ratio of members above RATIO_FROM_BYTES: DEFLATE reaches 1032 on zeros, documents stay below 50."""
RATIO_FROM_BYTES = 1 << 20
SUFFIXES = (
    ".json",
    ".jsonl",
    ".txt",
    ".md",
    ".toml",
    ".xml",
    ".html",
    ".pdf",
    ".parquet",
    ".sha256",
    ".tsr",
    ".tlog-proof",
)
"""Allowed file types; archives, databases, programs and pickles are excluded."""
FOREIGN_STARTS = {b"PK\x03\x04": "a zip archive", b"PK\x05\x06": "a zip archive", b"\x1f\x8b": "a gzip archive"}
"""First bytes of excluded file types, which detect renamed members."""
_DUCKDB_MARK = slice(8, 12), b"DUCK"
_NAME = re.compile(r"[A-Za-z0-9._/+@=-]+\Z")
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}
_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s4H2IH")
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK, _DESCRIPTOR_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x07\x08"
_STREAMED, _KNOWN_FLAGS = 0x0008, 0x0008 | 0x0006 | 0x0800
"""Flags: sizes after the data; compression effort and UTF-8 names. Encryption and patches are other bits."""
_STORED, _DEFLATED = 0, 8
_ZIP64_FIELD, _UNICODE_NAME_FIELD = 0x0001, 0x7075
_FULL = 0xFFFFFFFF


class BadPack(ValueError):
    """The pack violates its format; the message states where."""


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
    """Return the file's bytes, truncated to one more than a pack may have.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(MAX_PACK_BYTES + 1)


def read_members(data: bytes) -> Mapping[str, bytes]:
    """Return every member by name.

    The archive must consist of its entries, its directory and its end record, without bytes before, between or after.
    Then all programs read the same members.

    Raises:
        BadPack: any other layout, or a name, type or size that packs do not allow.
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
            raise BadPack(f"overlapping members, or bytes outside any member, before {entry.name}")
        members[entry.name], position = _read_member(data, directory, entry)
    if position != directory:
        raise BadPack("bytes outside any member before the directory")
    return dict(sorted(members.items()))


def check_name(name: str) -> None:
    """Reject a member name that a file system could resolve to another file or to a path outside the pack.

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
        raise BadPack(f"a file type that packs do not allow: {shown}")


def _check_names(names: list[str]) -> None:
    folded: dict[str, str] = {}
    for name in names:
        check_name(name)
        if twin := folded.get(name.casefold()):
            raise BadPack(f"two members have the same name: {twin} and {name}")
        folded[name.casefold()] = name
    for name in names:
        for end in (place for place, letter in enumerate(name) if letter == "/"):
            if name[:end].casefold() in folded:
                raise BadPack(f"{name[:end]} is both a member and a folder")


def _read_directory(data: bytes) -> tuple[list[Entry], int]:
    """Return the rows of the central directory, and its offset."""
    end = len(data) - _END.size
    if end < 0 or data[end : end + 4] != _END_MARK:
        raise BadPack("not a zip archive, or bytes after its end")
    _, disk, first_disk, here, count, size_bytes, directory, comment = _END.unpack(data[end:])
    if disk or first_disk or here != count or comment:
        raise BadPack("an archive in parts, or with a comment")
    if count > MAX_MEMBERS:
        raise BadPack(f"{count:,} members or zip64; at most {MAX_MEMBERS:,}")
    if directory + size_bytes != end:
        raise BadPack(
            "the directory does not extend from its stated offset to the end: zip64, or bytes before the archive"
        )
    entries, position = [], directory
    for _ in range(count):
        entry, position = _read_row(data, position, end)
        entries.append(entry)
    if position != end:
        raise BadPack("the directory contains more than its members")
    return entries, directory


def _read_row(data: bytes, position: int, end: int) -> tuple[Entry, int]:
    if position + _CENTRAL.size > end or data[position : position + 4] != _CENTRAL_MARK:
        raise BadPack("the directory contains fewer members than it states")
    (_, _, _, flags, method, _, _, checksum, packed, size_bytes, name_len, extra_len, comment, disk, _, attributes, start) = (
        _CENTRAL.unpack_from(data, position)
    )  # fmt: skip
    name_at = position + _CENTRAL.size
    following = name_at + name_len + extra_len + comment
    name = data[name_at : name_at + name_len].decode("latin-1")
    shown = ascii(name[:80])
    if flags & ~_KNOWN_FLAGS:
        raise BadPack(f"{shown} is encrypted or uses zip features that packs do not allow")
    if method not in (_STORED, _DEFLATED):
        raise BadPack(f"{shown} is compressed by method {method}; stored and DEFLATE are supported")
    if attributes >> 16 & 0o170000 not in (0, 0o100000) or attributes & 0x10:
        raise BadPack(f"{shown} is a link, a folder or a device, not a file")
    if _FULL in (packed, size_bytes, start) or disk or comment:
        raise BadPack(f"{shown} uses zip64, another disk or a comment")
    _check_extra(data[name_at + name_len : name_at + name_len + extra_len], shown)
    if size_bytes > MAX_MEMBER_BYTES or (size_bytes > RATIO_FROM_BYTES and size_bytes > packed * MAX_RATIO):
        raise BadPack(f"{shown} would unpack to {size_bytes:,} bytes from {packed:,}")
    return Entry(name, flags, method, checksum, packed, size_bytes, start), following


def _check_extra(extra: bytes, shown: str) -> None:
    """Ignore extra fields such as times and owners; reject those that repeat a size or a name."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        if kind in (_ZIP64_FIELD, _UNICODE_NAME_FIELD):
            raise BadPack(f"{shown} has a second size or name (zip64)")
        position += 4 + length
    if position != len(extra):
        raise BadPack(f"{shown} has a truncated extra field")


def _read_member(data: bytes, directory: int, entry: Entry) -> tuple[bytes, int]:
    """Return the unpacked bytes and the offset of the next entry; all data precedes the directory."""
    if data[entry.start : entry.start + 4] != _LOCAL_MARK:
        raise BadPack(f"{entry.name} does not begin at the offset in the directory")
    _, _, flags, method, _, _, checksum, packed, size_bytes, name_len, extra_len = _LOCAL.unpack_from(data, entry.start)
    name_at = entry.start + _LOCAL.size
    body = name_at + name_len + extra_len
    stated = (data[name_at : name_at + name_len], flags, method)
    sizes = (checksum, packed, size_bytes)
    wanted = (entry.checksum, entry.packed_bytes, entry.size_bytes)
    if stated != (entry.name.encode(), entry.flags, entry.method) or (
        sizes != wanted and not (flags & _STREAMED and sizes == (0, 0, 0))
    ):
        raise BadPack(f"{entry.name} has other properties than the directory states")
    _check_extra(data[name_at + name_len : body], entry.name)
    end = body + entry.packed_bytes
    if end > directory:
        raise BadPack(f"{entry.name} is truncated")
    content = _unpack(data[body:end], entry)
    return content, end + (_measure_descriptor(data[end : end + 16], wanted, entry.name) if flags & _STREAMED else 0)


def _measure_descriptor(found: bytes, wanted: tuple[int, int, int], name: str) -> int:
    plain = struct.pack("<3I", *wanted)
    for form in (_DESCRIPTOR_MARK + plain, plain):
        if found.startswith(form):
            return len(form)
    raise BadPack(f"{name} is followed by other sizes than the directory states")


def _unpack(packed: bytes, entry: Entry) -> bytes:
    content = packed
    if entry.method == _DEFLATED:
        reader = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = reader.decompress(packed, entry.size_bytes + 1)
        except zlib.error as error:
            raise BadPack(f"{entry.name} cannot be unpacked: {error}") from error
        if not reader.eof or reader.unused_data:
            raise BadPack(f"{entry.name} unpacks to another size than the directory states")
    if len(content) != entry.size_bytes or zlib.crc32(content) != entry.checksum:
        raise BadPack(f"{entry.name} unpacks to another checksum than the directory states")
    for start, kind in FOREIGN_STARTS.items():
        if content.startswith(start):
            raise BadPack(f"{entry.name} is {kind}")
    place, mark = _DUCKDB_MARK
    if content[place] == mark:
        raise BadPack(f"{entry.name} is a DuckDB database")
    return content
