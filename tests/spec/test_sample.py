"""The shipped sample organisation: it opens, its log verifies, it holds every state, and nothing changes it."""

from __future__ import annotations

import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from toy.packs import ANNA
from toy.register import freeze_by_hand

from audit_core.cli import main
from audit_core.errors import IntegrityError, Refused, SampleRefused
from audit_core.evidence.source import hash_source
from audit_core.home import ClaimStatus, read_claim_statuses, read_home
from audit_core.review import Decider, ReviewDecision, decide, list_cases
from audit_core.sample import count_records, find_record, is_removed, open_sample, read_note, read_recorded_change
from audit_core.sample.shipped_sample import ARCHIVE, CHECKPOINT, FOLDER, NOTE
from audit_core.store import Action, Register, append_event, declare_incident, open_database, read_log_view
from audit_core.store.log.backup import back_up

MOST_BYTES = 3_000_000
PLACES = (b"/root/", b"/work/", b"/tmp/", b"/home/", b"/Users/", b"PRIVATE KEY")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = open_sample(tmp_path_factory.mktemp("home"))
    assert folder is not None
    return folder


def read_statuses(folder: Path):  # type: ignore[no-untyped-def]
    return read_claim_statuses(folder, read_home(folder).list_triggers())


def test_its_log_verifies_without_a_private_key(opened: Path) -> None:
    trail = read_log_view(opened)
    assert trail.verification.findings == ()
    assert trail.verification.checkpoints >= 5
    assert trail.status.anchored_size > 0
    assert not list((opened / "keys").glob("*.pem*"))


def test_it_covers_every_state_of_a_claim(opened: Path) -> None:
    found = read_statuses(opened)
    assert {one.standing for one in found} == set(ClaimStatus)
    assert all(one.why for one in found if one.standing in (ClaimStatus.INCONCLUSIVE, ClaimStatus.STALE))
    assert len({one.model for one in found}) == 3
    assert sum(one.model == "default" for one in found) >= 3


def test_its_desk_holds_a_signed_pack_and_a_waiting_one(opened: Path) -> None:
    assert {case.state for case in list_cases(opened)} == {"signed by all three", "waiting for review"}


def test_its_comparison_of_two_models_names_the_edited_head(opened: Path) -> None:
    found = read_recorded_change(opened)
    assert [one.component for one in found.models.components] == ["L23.H3"]
    row = next(one for one in found.effects.rows if one.component == "L23.H3")
    assert abs(row.after.value) < 1e-3 < abs(row.before.value)


def test_every_record_says_that_it_is_a_sample(opened: Path) -> None:
    assert all(one.name.startswith("Sample: ") for one in read_statuses(opened))
    facts = read_home(opened)
    assert {event.actor.split("-")[0] for event in facts.events} == {"sample", "audit log", "findings register"}
    for case in list_cases(opened):
        with zipfile.ZipFile(opened / f"desk/{case.pack.pack_sha256}.zip") as pack:
            assert b"Sample organisation" in pack.read("pack.json")
            assert b"Sample: " in pack.read("report/report.html")


def test_its_states_do_not_expire_with_the_calendar(opened: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_statuses(opened)
    hours = read_home(opened).status.unanchored_s
    for module in ("events", "checkpoints", "read_only"):
        monkeypatch.setattr(
            f"audit_core.store.database.{module}.read_clock", lambda: "2101-01-01T00:00:00.000000Z", raising=True
        )
    assert read_statuses(opened) == before
    assert read_home(opened).status.unanchored_s == hours


def test_the_shipped_files_are_small_and_name_no_machine_and_no_key() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < MOST_BYTES
    with zipfile.ZipFile(FOLDER / ARCHIVE) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert [(name, place) for name, data in members.items() for place in PLACES if place in data] == []
    for name in [name for name in members if name.endswith(".zip")]:
        with zipfile.ZipFile(FOLDER / ARCHIVE).open(name) as file, zipfile.ZipFile(file) as pack:
            assert [(one, p) for one in pack.namelist() for p in PLACES if p in pack.read(one)] == []


def test_the_note_gives_date_and_code(opened: Path) -> None:
    note, record = read_note(), find_record(opened)
    assert note is not None
    assert record is not None
    assert (note.recorded_at, note.code_sha256) == (record.recorded_at, record.code_sha256)
    assert len(note.code_sha256) == len(hash_source())


@pytest.mark.parametrize("write", ["withdraw", "incident", "event", "decide"])
def test_a_write_to_it_is_refused_and_changes_nothing(opened: Path, write: str) -> None:
    before = count_records(opened)
    digest = list_cases(opened)[0].pack.root_digest
    asked = ReviewDecision("reviewer", "approve", "another team")

    def tell() -> None:
        with open_database(opened) as connection:
            append_event(connection, actor="anna", action=Action.LOG_VERIFIED, object_id="x", payload={})

    writes = {
        "withdraw": lambda: Register(opened).withdraw("C-0001", by="anna", reason="a test"),
        "incident": lambda: declare_incident(opened, "C-0001", held_for="x", by="anna", reason="a test"),
        "event": tell,
        "decide": lambda: decide(opened, digest, asked, Decider(ANNA)),  # type: ignore[arg-type]
    }
    with pytest.raises(SampleRefused, match="sample organisation, which is read-only"):
        writes[write]()
    assert count_records(opened) == before
    assert read_log_view(opened).verification.findings == ()


def test_a_claim_cannot_be_frozen_in_it(opened: Path) -> None:
    with pytest.raises(SampleRefused):
        freeze_by_hand(opened)


def test_servers_that_unpack_it_at_once_share_one_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = set(pool.map(lambda _: open_sample(tmp_path), range(3)))
    assert len(found) == 1
    assert [path.name for path in (tmp_path / "sample").iterdir() if path.name.startswith(".")] == []


def test_a_changed_archive_is_refused(tmp_path: Path) -> None:
    shipped = tmp_path / "shipped"
    shutil.copytree(FOLDER, shipped)
    data = bytearray((shipped / ARCHIVE).read_bytes())
    data[len(data) // 2] ^= 1
    (shipped / ARCHIVE).write_bytes(data)
    with pytest.raises(IntegrityError, match="does not match its digest"):
        open_sample(tmp_path, shipped=shipped)
    assert not (tmp_path / "sample").exists()


def test_an_archive_behind_its_checkpoint_is_refused(tmp_path: Path) -> None:
    shipped = tmp_path / "shipped"
    shutil.copytree(FOLDER, shipped)
    text = (shipped / CHECKPOINT).read_text()
    size = text.splitlines()[1]
    (shipped / CHECKPOINT).write_text(text.replace(f"\n{size}\n", f"\n{int(size) + 1}\n", 1))
    with pytest.raises((IntegrityError, Refused)):
        open_sample(tmp_path, shipped=shipped)


def test_an_installation_without_it_has_none(tmp_path: Path) -> None:
    assert open_sample(tmp_path, shipped=tmp_path / "nothing") is None
    assert (FOLDER / NOTE).is_file(), "this one ships it"


def test_a_backup_leaves_it_out(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    freeze_by_hand(home)
    open_sample(home)
    found = back_up(home, tmp_path / "backup.zip", with_private_keys=False)
    assert not [name for name in found.files if name.startswith("sample/")]


def test_a_command_removes_it_and_brings_it_back(own_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["home", "sample", "remove"]) == 0
    assert is_removed(own_home)
    assert main(["home", "sample", "show", "--json"]) == 0
    assert not is_removed(own_home)


def test_runs_alone_are_no_records_but_count_for_the_log(tmp_path: Path) -> None:
    with open_database(tmp_path):
        pass
    assert count_records(tmp_path).events == 0
    with open_database(tmp_path) as connection:
        append_event(connection, actor="anna", action=Action.RUN_STARTED, object_id="r", payload={})
    counts = count_records(tmp_path)
    assert (counts.has_records, counts.events) == (False, 1)
    freeze_by_hand(tmp_path)
    assert count_records(tmp_path).has_records
