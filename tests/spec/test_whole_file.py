"""A file is there whole or as it was, and what a killed writer left is taken away in time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from audit_core.errors import Refused
from audit_core.evidence.container import write_pack
from audit_core.evidence.whole_file import STALE_S, write_new, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        write_whole(tmp_path / "a", data)
        assert (tmp_path / "a").read_bytes() == data
    assert names(tmp_path) == ["a"]


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    write_new(tmp_path / "a", b"one", mode=0o600)
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a", b"two", mode=0o600)
    assert ((tmp_path / "a").read_bytes(), names(tmp_path)) == (b"one", ["a"])
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("write", [write_whole, lambda path, data: write_new(path, data, mode=0o600)])
def test_bytes_and_then_the_name_reach_the_disk(write: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill does not lose what the system has in memory, and a loss of power does."""
    there: list[bool] = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (there.append((tmp_path / "a").exists()), sync(number))[1])
    write(tmp_path / "a", b"one")  # type: ignore[operator]
    assert there == [False, True]


def test_what_a_killed_writer_left_is_taken_away_once_no_writer_can_want_it(tmp_path: Path) -> None:
    parts = [tmp_path / f".assay-{name}.part" for name in ("old", "young")]
    others = [tmp_path / name for name in ("film.part", ".assay-old", "assay-old.part")]
    for path in (*parts, *others):
        path.write_bytes(b"half")
    ago = time.time() - STALE_S - 60
    for path in (parts[0], *others):
        os.utime(path, (ago, ago))
    write_whole(tmp_path / "a", b"one")
    assert names(tmp_path) == sorted(["a", parts[1].name, *(path.name for path in others)])


def test_a_link_stays_a_link_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far/a").write_bytes(b"one")
    (tmp_path / "link").symlink_to(tmp_path / "far/a")
    write_whole(tmp_path / "link", b"two")
    assert ((tmp_path / "link").is_symlink(), (tmp_path / "far/a").read_bytes()) == (True, b"two")


def test_what_is_no_plain_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "pipe", b"one")
    assert os.read(reader, 10) == b"one"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("place", ["missing/p.zip", "."])
def test_a_pack_that_has_no_place_is_refused(place: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be written"):
        write_pack(tmp_path / place, {"README.txt": b"hello"})
    assert names(tmp_path) == []
