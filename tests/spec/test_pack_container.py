"""Step 1: an archive that two programs could read differently, or that could hurt its reader, is refused before it is read."""

import io
import struct
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable

import pytest
from toy.packs import check, genuine_members, name_failure, zip_up

from audit_core.verifier import container
from audit_core.verifier.container import (
    MAX_MEMBER_BYTES,
    MAX_MEMBERS,
    MAX_PACK_BYTES,
    BadPack,
    check_name,
    read_members,
)

FILES = {"README.txt": b"hello", "pack.json": b"{}"}


def refuse(data: bytes, match: str) -> None:
    with pytest.raises(BadPack, match=match):
        read_members(data)


def patch_directory(data: bytes, offset: int, value: bytes, row: int = 0) -> bytes:
    """Write into a row of the central directory."""
    at = -1
    for _ in range(row + 1):
        at = data.index(b"PK\x01\x02", at + 1)
    return data[: at + offset] + value + data[at + offset + len(value) :]


def patch_both(data: bytes, local: int, central: int, value: bytes) -> bytes:
    return patch_directory(data[:local] + value + data[local + len(value) :], central, value)


def lengthen_directory(data: bytes, junk: bytes, rows: int) -> bytes:
    """Bytes behind the last row, within the directory as its end now says."""
    end = len(data) - 22
    (size,) = struct.unpack_from("<I", data, end + 12)
    last = data[end : end + 8] + struct.pack("<2HI", rows, rows, size + len(junk)) + data[end + 16 :]
    return data[:end] + junk + last


def test_a_plain_archive_reads_back() -> None:
    assert read_members(zip_up(FILES)) == FILES


def test_stored_members_and_streamed_archives_read_back() -> None:
    """Packing again, by another program, must not break a pack: sizes may stand behind the data, with or without a mark."""

    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.data += bytes(data)
            return len(data)

    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        for name, data in FILES.items():
            archive.writestr(name, data)
    assert read_members(stream.data) == FILES
    assert b"PK\x07\x08" in stream.data
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    assert read_members(buffer.getvalue()) == FILES


def stream_up() -> bytes:
    """An archive of one member, written to where no program can go back."""

    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", b"hello")
    return stream.getvalue()


def test_an_archive_without_members_has_none_and_a_member_needs_a_name() -> None:
    assert read_members(b"PK\5\6" + bytes(18)) == {}
    refuse(zip_up([("README.txt", b"x"), ("", b"")]), "unsafe member name")


def test_only_a_streamed_member_may_state_its_sizes_after_its_data() -> None:
    data = stream_up()
    assert read_members(data) == {"README.txt": b"hello"}
    assert data[14:26] == bytes(12)
    refuse(data[:22] + b"\4" + data[23:], "other properties than the directory")
    plain = zip_up(FILES)
    assert read_members(plain) == FILES
    refuse(plain[:14] + bytes(12) + plain[26:], "other properties than the directory")


def test_sizes_behind_the_data_must_be_those_of_the_directory() -> None:
    data = stream_up()
    assert read_members(data) == {"README.txt": b"hello"}
    at = data.index(b"PK\x07\x08")
    refuse(data[: at + 4] + b"\0\0\0\0" + data[at + 8 :], "other sizes")


UNSAFE = [
    "../../evil.txt", "/etc/x.txt", "a\\..\\b.txt", "C:evil.txt", "re\u0301port.txt", "a//b.txt", "a/./b.txt", "a/../b.txt", "",
    "a/", "con.txt", "a/NUL.json", "lpt1.txt", "a b.txt", "x\0.txt", "%2e%2e/x.txt", "a./b.txt", "\uff0e\uff0e/x.txt", "x" * 240 + ".txt",
    "a/.../b.txt", "x.txt\n",
]  # fmt: skip


@pytest.mark.parametrize("name", UNSAFE)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(BadPack, match="unsafe member name"):
        check_name(name)


@pytest.mark.parametrize("name", ["../../evil.txt", "/etc/x.txt", "re\u0301port.txt"])
def test_an_archive_with_such_a_name_is_refused(name: str) -> None:
    refuse(zip_up([("README.txt", b"x"), (name, b"x")]), "unsafe member name")


@pytest.mark.parametrize(
    "name", ["a.pkl", "a.pt", "a.duckdb", "inner.zip", "a.exe", "a.py", "noend", "a.npy", "model.safetensors"]
)
def test_a_kind_of_file_that_packs_do_not_hold_is_refused(name: str) -> None:
    refuse(zip_up({**FILES, f"runs/{name}": b"x"}), "a file type that packs do not allow")


@pytest.mark.parametrize(
    ("content", "kind"),
    [(zip_up(FILES), "a zip archive"), (b"PK\x05\x06" + bytes(18), "a zip archive"), (b"\x1f\x8b\x08", "gzip"),
     (bytes(8) + b"DUCK" + bytes(40), "DuckDB")],
)  # fmt: skip
def test_an_archive_or_database_under_another_name_is_refused(content: bytes, kind: str) -> None:
    refuse(zip_up({**FILES, "runs/a/effects.parquet": content}), kind)


@pytest.mark.parametrize("twin", ["README.txt", "readme.TXT"])
def test_two_members_of_one_name_are_refused(twin: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = zip_up([("README.txt", b"x"), (twin.replace("TXT", "txt"), b"evil")])
    refuse(data, "two members have the same name")


def test_a_member_that_is_also_a_folder_is_refused() -> None:
    refuse(zip_up({"a.txt": b"x", "a.txt/b.txt": b"y"}), "a member and a folder")


@pytest.mark.parametrize("mode", [0o120777, 0o040755, 0o060644, 0o010644])
def test_links_folders_and_devices_are_refused(mode: int) -> None:
    refuse(patch_directory(zip_up(FILES), 38, struct.pack("<I", mode << 16)), "not a file")
    refuse(patch_directory(zip_up(FILES), 38, struct.pack("<I", 0x10)), "not a file")


@pytest.mark.parametrize("attributes", [0o100755 << 16, 0x01])
def test_a_file_that_may_be_run_or_not_be_written_is_a_file(attributes: int) -> None:
    assert read_members(patch_directory(zip_up(FILES), 38, struct.pack("<I", attributes))) == FILES


@pytest.mark.parametrize("flags", [0x01, 0x20, 0x40, 0x2000])
def test_encryption_and_patches_are_refused(flags: int) -> None:
    refuse(patch_both(zip_up(FILES), 6, 8, struct.pack("<H", flags)), "encrypted")


def test_other_ways_of_packing_are_refused() -> None:
    refuse(patch_both(zip_up(FILES), 8, 10, struct.pack("<H", 12)), "method 12")


@pytest.mark.parametrize(
    ("tamper", "match"),
    [
        (lambda data: b"MZevil" + data, "does not extend"),
        (lambda data: data + b"evil", "bytes after its end"),
        (lambda data: data[:-1], "bytes after its end"),
        (lambda data: b"", "not a zip archive"),
        (lambda data: b"PK\5\6".ljust(11), "not a zip archive"),
        (lambda data: data[:-16] + b"\1\0" + data[-14:], "in parts"),
        (lambda data: patch_directory(data, 0, b"XX", row=1), "fewer members"),
        (lambda data: lengthen_directory(data, b"PK\1\2", rows=3), "fewer members"),
        (lambda data: lengthen_directory(data, b"evil!", rows=2), "more than its members"),
        (lambda data: data[:-2] + b"\x04\0evil", "bytes after its end"),
        (lambda data: data[:-2] + b"\x04\0", "with a comment"),
        (lambda data: data[:-18] + b"\1\0" + data[-16:], "in parts"),
        (lambda data: data[:-14] + b"\3\0\3\0" + data[-10:], "fewer members"),
        (lambda data: data[:-14] + b"\1\0\1\0" + data[-10:], "more than its members"),
        (lambda data: data[:-12] + b"\3\0" + data[-10:], "in parts"),
        (lambda data: data[:-6] + struct.pack("<I", 5) + data[-2:], "does not extend"),
    ],
)  # fmt: skip
def test_bytes_around_the_archive_and_counts_that_lie_are_refused(tamper: Callable[[bytes], bytes], match: str) -> None:
    refuse(tamper(zip_up(FILES)), match)


def add_gap(data: bytes, at: int, junk: bytes = b"evil!") -> bytes:
    """Bytes between a member and what follows, with every offset put right."""
    out = data[:at] + junk + data[at:]
    end = len(out) - 22
    (directory,) = struct.unpack_from("<I", data, len(data) - 6)
    out = out[: end + 16] + struct.pack("<I", directory + len(junk)) + out[end + 20 :]
    position = directory + len(junk)
    while out[position : position + 4] == b"PK\x01\x02":
        name, extra, comment, start = (
            *struct.unpack_from("<3H", out, position + 28),
            struct.unpack_from("<I", out, position + 42)[0],
        )
        if start >= at:
            out = out[: position + 42] + struct.pack("<I", start + len(junk)) + out[position + 46 :]
        position += 46 + name + extra + comment
    return out


def test_bytes_between_members_are_refused() -> None:
    data = zip_up(FILES)
    second = data.index(b"PK\x03\x04", 4)
    refuse(add_gap(data, second), "bytes outside any member")
    refuse(add_gap(data, data.index(b"PK\x01\x02")), "before the directory")


def test_a_prefix_with_offsets_put_right_is_refused() -> None:
    """Python's own reader takes such a file: a program in front, a pack behind."""
    data = add_gap(zip_up(FILES), 0, b"#!/bin/sh\n")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.read("README.txt") == b"hello"
    refuse(data, "bytes outside any member")


def test_members_that_share_their_bytes_are_refused() -> None:
    """Overlapping entries are how a small file becomes a large one (a bomb that no ratio shows)."""
    data = zip_up({"a.txt": b"x" * 500, "b.txt": b"x" * 500})
    refuse(patch_directory(data, 42, struct.pack("<I", 0), row=1), "overlap")


def test_a_directory_that_says_other_things_than_the_members_is_refused() -> None:
    data = zip_up(FILES)
    refuse(data.replace(b"README.txt", b"README.tx2", 1), "other properties than the directory")
    refuse(data[:14] + b"\1\2\3\4" + data[18:], "other properties than the directory")
    refuse(data[:8] + struct.pack("<H", 0) + data[10:], "other properties than the directory")
    refuse(b"XX" + data[2:], "does not begin at")
    refuse(patch_directory(data, 42, struct.pack("<I", len(data)), row=1), "does not begin at|overlap")


def test_content_that_is_not_what_the_directory_says_is_refused() -> None:
    data = zip_up(FILES)
    refuse(patch_both(data, 14, 16, b"\1\2\3\4"), "another checksum than")
    refuse(patch_both(data, 22, 24, struct.pack("<I", 4)), "another checksum than")
    refuse(patch_both(data, 22, 24, struct.pack("<I", 6)), "another checksum than")
    refuse(patch_both(data, 22, 24, struct.pack("<I", 3)), "another size than")
    refuse(patch_both(data, 18, 20, struct.pack("<I", 5_000)), "truncated")
    body = 30 + len("README.txt")
    refuse(data[:body] + b"\xff" * 3 + data[body + 3 :], "cannot be unpacked")


def test_a_stream_without_an_end_is_refused() -> None:
    """Its bytes and checksum are right; what a reader makes of what follows is up to the reader."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = packer.compress(b"hello") + packer.flush(zlib.Z_SYNC_FLUSH)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("README.txt", stream)
    data = patch_both(buffer.getvalue(), 8, 10, struct.pack("<H", 8))
    data = patch_both(data, 14, 16, struct.pack("<I", zlib.crc32(b"hello")))
    refuse(patch_both(data, 22, 24, struct.pack("<I", 5)), "another size than")


def test_bytes_hidden_behind_a_members_data_are_refused() -> None:
    """The stream ends before its packed size does: what follows would be seen by nobody and covered by no digest."""
    data = zip_up(FILES)
    (packed,) = struct.unpack_from("<I", data, 18)
    hidden = add_gap(data, 30 + len("README.txt") + packed, b"evil")
    refuse(patch_both(hidden, 18, 20, struct.pack("<I", packed + 4)), "another size than")


@pytest.mark.parametrize(("offset", "what"), [(20, "zip64"), (24, "zip64"), (42, "zip64")])
def test_zip64_is_refused(offset: int, what: str) -> None:
    refuse(patch_directory(zip_up(FILES), offset, b"\xff" * 4), what)


def test_a_member_with_a_comment_or_on_another_disk_is_refused() -> None:
    refuse(patch_directory(zip_up(FILES), 34, b"\1\0"), "another disk or a comment")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("README.txt")
        info.comment = b"evil"
        archive.writestr(info, b"x")
    refuse(buffer.getvalue(), "another disk or a comment")


@pytest.mark.parametrize("kind", [0x0001, 0x7075])
def test_an_extra_field_that_gives_a_second_size_or_name_is_refused(kind: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("README.txt")
        info.extra = struct.pack("<2H", 0x5455, 1) + b"x" + struct.pack("<2H", kind, 8) + bytes(8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive.writestr(info, b"x")
    refuse(buffer.getvalue(), "second size or name")


def test_times_and_owners_that_archivers_add_are_read_over() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("README.txt")
        info.extra = struct.pack("<2H", 0x5455, 5) + bytes(5)
        archive.writestr(info, b"x")
    assert read_members(buffer.getvalue()) == {"README.txt": b"x"}
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        info.extra = struct.pack("<2H", 0x5455, 0)
        archive.writestr(info, b"x")
    assert read_members(empty.getvalue()) == {"README.txt": b"x"}
    for place in (buffer.getvalue().index(b"UT"), buffer.getvalue().rindex(b"UT")):
        second_name = buffer.getvalue()[:place] + struct.pack("<H", 0x7075) + buffer.getvalue()[place + 2 :]
        refuse(second_name, "second size or name")
    at = buffer.getvalue().index(b"UT")
    refuse(buffer.getvalue()[: at + 2] + b"\xff\0" + buffer.getvalue()[at + 4 :], "truncated")


def test_a_bomb_is_refused_by_what_it_says_and_by_what_it_does() -> None:
    began = time.monotonic()
    bomb = zip_up({"a.txt": bytes(30 << 20)})
    refuse(bomb, "would unpack to")
    small = patch_both(bomb, 22, 24, struct.pack("<I", 1000))
    refuse(small, "another size than")
    assert time.monotonic() - began < 5


def test_a_ratio_is_refused_above_its_limit_and_only_in_a_large_member(monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = zip_up({"a.txt": bytes(1000)})
    (packed,) = struct.unpack_from("<I", zeros, 18)
    assert 2 * packed < 1000
    monkeypatch.setattr(container, "MAX_RATIO", 2)
    for smallest, ratio, is_read in ((1000, 2, True), (999, 2, False), (0, 1000 // packed + 1, True)):
        monkeypatch.setattr(container, "RATIO_FROM_BYTES", smallest)
        monkeypatch.setattr(container, "MAX_RATIO", ratio)
        if is_read:
            assert read_members(zeros) == {"a.txt": bytes(1000)}
        else:
            refuse(zeros, "would unpack to 1,000 bytes")
    monkeypatch.setattr(container, "RATIO_FROM_BYTES", 0)
    monkeypatch.setattr(container, "MAX_RATIO", 1)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.txt", b"as large as it is packed")
    assert read_members(buffer.getvalue()) == {"a.txt": b"as large as it is packed"}


def test_limits_of_size_and_number_are_kept() -> None:
    refuse(bytes(MAX_PACK_BYTES + 1), "larger than")
    refuse(zip_up([(f"m{number}.txt", b"") for number in range(MAX_MEMBERS + 1)]), "members")
    data = zip_up(FILES)
    huge = struct.pack("<I", MAX_MEMBER_BYTES)
    said = patch_directory(patch_directory(data, 24, huge), 20, huge)
    for row in (0, 1):
        said = patch_directory(patch_directory(said, 24, huge, row), 20, huge, row)
    many = zip_up([(f"m{number}.txt", b"x") for number in range(5)])
    for row in range(5):
        many = patch_directory(patch_directory(many, 24, huge, row), 20, huge, row)
    refuse(many, "bytes unpacked; at most")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.txt", bytes(MAX_MEMBER_BYTES + 1))
    refuse(buffer.getvalue(), "would unpack to")


def test_more_members_than_the_end_can_count_are_refused_at_once() -> None:
    """Their number does not fit the directory's end: it would need zip64."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(66_000):
            archive.writestr(zipfile.ZipInfo(f"m{number}.txt"), b"")
    began = time.monotonic()
    refuse(buffer.getvalue(), "zip64")
    assert time.monotonic() - began < 1


def test_a_failed_container_stops_everything_and_shows_as_exit_4() -> None:
    found = check(b"MZ" + zip_up(genuine_members()))
    assert name_failure(found).startswith("container: ")
    assert [step.result for step in found.steps[1:]] == ["NOT_CHECKED"] * 7
    assert (found.exit_code, found.integrity, found.documents) == (4, "INTEGRITY_FAILED", None)
