"""A backup holds everything with its digest, and a restore puts back what was checked or nothing."""

import hashlib
import json
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from audit_core.cli import main
from audit_core.errors import AuditError, IntegrityError, Refused
from audit_core.store import Action, append_event, list_events, make_checkpoint, make_key, open_database, verify_log
from audit_core.store.log.backup import MANIFEST, back_up, restore

DATABASE = "runs.duckdb"


def write(home: Path, n: int) -> None:
    with open_database(home) as connection:
        for number in range(n):
            append_event(connection, actor="ada", action=Action.PERSON_SIGNED_IN, object_id=str(number), payload={})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    write(home, 5)
    make_key(home, "anna")
    (home / "prompts").mkdir()
    (home / "prompts/own-1.jsonl").write_text("{}\n")
    return home


def rewrite(path: Path, change: Callable[[dict[str, bytes]], object], *, digests: bool = True) -> Path:
    """The same backup with other files, and with a manifest that fits them."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files.pop(MANIFEST))
    change(files)
    if digests:
        manifest["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    out = path.with_name("changed.zip")
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in (files | {MANIFEST: json.dumps(manifest).encode()}).items():
            archive.writestr(name, data)
    return out


def test_what_was_backed_up_comes_back_with_its_log(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "home.zip"
    made = back_up(home, out, with_private_keys=True)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert set(made.files) == {DATABASE, "keys/anna.pem", "keys/log.pem", "prompts/own-1.jsonl"}
    found = restore(out, tmp_path / "again")
    assert (found.backup.size, found.old) == (made.size, None)
    write(tmp_path / "again", 1)
    with open_database(tmp_path / "again") as connection:
        assert verify_log(connection).findings == ()
    assert (tmp_path / "again/prompts/own-1.jsonl").read_text() == "{}\n"
    assert [path for path in (tmp_path / "again").rglob("*") if path.stat().st_mode & 0o077] == []


def test_private_keys_are_left_out_unless_asked_for(home: Path, tmp_path: Path) -> None:
    made = back_up(home, tmp_path / "b.zip", with_private_keys=False)
    assert not made.has_private_keys
    assert not any(name.startswith("keys/") for name in made.files)
    assert b"PRIVATE KEY" not in (tmp_path / "b.zip").read_bytes()
    restore(tmp_path / "b.zip", tmp_path / "again")
    assert not (tmp_path / "again/keys").exists()


def test_a_home_that_is_there_is_moved_and_never_written_over(home: Path, tmp_path: Path) -> None:
    back_up(home, tmp_path / "b.zip", with_private_keys=True)
    write(home, 3)
    with pytest.raises(Refused, match="is not empty"):
        restore(tmp_path / "b.zip", home)
    for wrong in (tmp_path, home / "inside"):
        with pytest.raises(Refused, match="exists already or is inside it"):
            restore(tmp_path / "b.zip", home, old_to=wrong)
    found = restore(tmp_path / "b.zip", home, old_to=tmp_path / "old")
    assert found.events_lost == 3
    with open_database(tmp_path / "old") as connection:
        assert len(list_events(connection)) == found.backup.size + 3


def test_a_log_that_is_shorter_than_an_external_checkpoint_is_not_restored(home: Path, tmp_path: Path) -> None:
    back_up(home, tmp_path / "b.zip", with_private_keys=True)
    write(home, 3)
    with open_database(home) as connection:
        note = make_checkpoint(connection, home).note
    with pytest.raises(IntegrityError, match="the rest is missing"):
        restore(tmp_path / "b.zip", tmp_path / "again", external=[note])
    assert not (tmp_path / "again").exists()


def edit_database(files: dict[str, bytes], tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "edited.duckdb"
    path.write_bytes(files[DATABASE])
    with duckdb.connect(str(path)) as connection:
        connection.execute("DROP TRIGGER event_fixed ON audit_event")
        connection.execute("UPDATE audit_event SET actor = 'mallory' WHERE seq = 2")
    files[DATABASE] = path.read_bytes()


def test_a_changed_log_with_digests_that_fit_is_not_restored(home: Path, tmp_path: Path) -> None:
    back_up(home, tmp_path / "b.zip", with_private_keys=False)
    with pytest.raises(IntegrityError, match="fails verification"):
        restore(rewrite(tmp_path / "b.zip", lambda files: edit_database(files, tmp_path)), tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../out", "/out", "prompts/../../out", "a//b", "./a", "a\\b", "C:out", "prompts/", "running/x.lock", "snapshots/x",
        "runs.duckdb.wal", "é", "a\x00b", ".hidden/x", "a/" * 12 + "b",
    ],
)  # fmt: skip
def test_a_name_that_is_none_of_a_home_is_refused(home: Path, tmp_path: Path, name: str) -> None:
    back_up(home, tmp_path / "b.zip", with_private_keys=False)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(AuditError):
        restore(rewrite(tmp_path / "b.zip", lambda files: files.update({name: b"x"})), tmp_path / "again")
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "changed.zip"])


def test_links_other_bytes_extra_files_and_no_archives_are_refused(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.zip"
    back_up(home, out, with_private_keys=False)
    other = rewrite(out, lambda files: files.update({"prompts/own-1.jsonl": b"other"}), digests=False)
    with pytest.raises(IntegrityError, match="digest"):
        restore(other, tmp_path / "again")
    extra = rewrite(out, lambda files: files.update({"prompts/own-2.jsonl": b"x"}), digests=False)
    with pytest.raises(Refused, match="other files"):
        restore(extra, tmp_path / "again")
    link = rewrite(out, lambda files: files.pop("prompts/own-1.jsonl"))
    with zipfile.ZipFile(out) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(link, "w") as archive:
        for name, data in files.items():
            row = zipfile.ZipInfo(name)
            row.external_attr = (0o120777 if name.startswith("prompts") else 0o100600) << 16
            archive.writestr(row, data)
    with pytest.raises(Refused, match="not a regular file"):
        restore(link, tmp_path / "again")
    for data in (b"", b"PK", out.read_bytes()[:-200]):
        (tmp_path / "half.zip").write_bytes(data)
        with pytest.raises(Refused, match="not a backup of a data directory"):
            restore(tmp_path / "half.zip", tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert not list(tmp_path.glob(".assay-*"))


def test_the_commands_say_what_is_in_the_file_and_what_was_put_back(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUDIT_HOME", str(home))
    out = str(tmp_path / "b.zip")
    assert main(["home", "backup", out]) == 0
    assert "It contains no private keys" in capsys.readouterr().err
    assert main(["home", "backup", out]) == 2
    assert main(["home", "backup", str(home / "b.zip")]) == 2
    assert main(["home", "backup", str(tmp_path / "no/such/b.zip")]) == 2
    assert main(["home", "backup", "--with-private-keys", "--json", str(tmp_path / "k.zip")]) == 0
    capsys.readouterr()
    assert main(["home", "restore", out]) == 2
    assert main(["home", "restore", out, "--old-to", str(tmp_path / "old")]) == 0
    assert "restore keys/ from its own backup" in capsys.readouterr().err
    assert os.path.isdir(tmp_path / "old")
