"""`log` on the command line: what it says, how it leaves, and that it never says more than was checked."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from toy.forged_log import forge, write_events

from audit_core.cli import main
from audit_core.evidence.container import make_manifest, open_pack, write_pack
from audit_core.evidence.keys import load_log_key
from audit_core.store import (
    Action,
    ClaimRun,
    RunLog,
    RunStart,
    append_event,
    list_events,
    make_checkpoint,
    open_database,
)
from audit_core.verifier.manifest import MANIFEST
from audit_core.verifier.note import read_checkpoint


@pytest.fixture
def home(own_home: Path) -> Path:
    own_home.mkdir()
    write_events(own_home, 20)
    return own_home


def tell(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main(["log", *map(str, arguments)])
    return code, capsys.readouterr().out


def print_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    code, out = tell(capsys, *arguments, "--json")
    return code, json.loads(out)


def test_a_whole_log_is_verified_and_that_is_printed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = tell(capsys, "verify")
    assert code == 0
    assert "21 events are unaltered" in out
    assert "No external checkpoint was given" in out
    with open_database(home) as connection:
        last = list_events(connection)[-1]
    assert (last.action, last.payload) == ("log.verified", {"size": 21, "checkpoints": 1, "held": 0})


def test_a_forged_log_leaves_with_4_names_the_first_bad_event_and_is_left_alone(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with forge(home) as file:
        file.edit(7, value=1.0)
    code, out = tell(capsys, "verify")
    assert (code, out.splitlines()[0].endswith("the first is event 7.")) == (4, True)
    assert "hash: event 7 is not what its hash says" in out
    code, found = print_json(capsys, "verify")
    assert (code, found["first_bad"], found["is_whole"], found["size"]) == (4, 7, False, 21)
    assert {"fault": "hash", "seq": 7, "text": "event 7 is not what its hash says", "until": None} in found["findings"]
    with open_database(home) as connection:
        assert len(connection.execute("SELECT 1 FROM audit_event").fetchall()) == 21


def test_a_checkpoint_that_was_given_away_finds_what_the_file_alone_does_not_show(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    assert tell(capsys, "checkpoint", "--out", first) == (0, "")
    write_events(home, 5)
    code, out = tell(capsys, "checkpoint")
    second.write_text(out)
    assert code == 0
    key = load_log_key(home)
    assert read_checkpoint(out, origin=out.split("\n")[0], public_key=key.public_key).size == 26
    code, found = print_json(capsys, "verify", "--checkpoint", first, second)
    assert (code, found["held"], found["is_whole"]) == (0, 2, True)
    with forge(home) as file:
        file.edit(7, value=1.0)
        file.relink()
        file.sign(key)
    assert tell(capsys, "verify")[0] == 0
    code, out = tell(capsys, "verify", "--checkpoint", second, first)
    assert code == 4
    assert "held_checkpoint: events 0 to 20 differ from those that a checkpoint covers" in out
    assert "No external checkpoint" not in out


def test_what_is_no_checkpoint_is_a_finding_and_what_is_no_file_a_refusal(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "note").write_bytes(b"\xff\n\nnot a note")
    code, found = print_json(capsys, "verify", "--checkpoint", tmp_path / "note")
    assert (code, found["findings"][0]["fault"], found["first_bad"]) == (4, "held_checkpoint", None)
    assert tell(capsys, "verify", "--checkpoint", tmp_path / "missing")[0] == 2
    assert tell(capsys, "checkpoint", "--out", tmp_path / "no/such/folder")[0] == 2


def test_a_key_from_outside_is_taken_before_the_one_that_lies_here(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = base64.b64encode(load_log_key(home).public_key).decode()
    (home / "keys/log.pem").unlink()
    assert tell(capsys, "verify")[0] == 2
    code, found = print_json(capsys, "verify", "--public-key", key)
    assert (code, found["checkpoints"]) == (0, 1)
    code, found = print_json(capsys, "verify", "--public-key", base64.b64encode(bytes(32)).decode())
    assert (code, found["findings"][0]["fault"]) == (4, "checkpoint")
    for wrong in ("x", "", base64.b64encode(bytes(31)).decode()):
        assert tell(capsys, "verify", "--public-key", wrong)[0] == 2


def test_an_anchor_is_recorded_for_the_checkpoint_it_names(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(capsys, "anchor", "--kind", "ci", "--target", "job 7", "--size", 20)[0] == 2
    code, signed = print_json(capsys, "checkpoint")
    assert (code, signed["size"]) == (0, 21)
    code, event = print_json(capsys, "anchor", "--kind", "ci", "--target", "job 7", "--size", 21)
    assert (code, event) == (0, {"seq": 21, "size": 21, "root": signed["root"], "kind": "ci", "target": "job 7"})
    code, status = print_json(capsys, "status")
    assert (status["size"], status["anchored_size"], status["unanchored_events"]) == (22, 21, 1)
    assert tell(capsys, "anchor", "--kind", "ci", "--target", "the latest, whichever that is")[0] == 2


def export(home: Path, pack_id: str = "P-1") -> Path:
    """As much of a pack as an anchor is about; the export is told of as `pack` tells of it."""
    with open_database(home) as connection:
        append_event(connection, actor="ada", action=Action.PACK_EXPORTED, object_id=pack_id, payload={"claims": {}})
    with open_database(home) as connection:
        note = make_checkpoint(connection, home).note
    files = {"README.txt": b"A pack.", "log/checkpoint.txt": note.encode()}
    write_pack(home / f"{pack_id}.zip", files | {MANIFEST: make_manifest(files)})
    return home / f"{pack_id}.zip"


def test_an_exported_pack_attests_nothing_until_a_recipient_is_recorded(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = export(home)
    _, status = print_json(capsys, "status")
    assert (status["anchored_size"], status["unanchored_events"]) == (0, 22)
    assert status["carried"] == [{"pack_id": "P-1", "size": 22}]
    assert "in pack P-1, not yet recorded as external" in tell(capsys, "status")[1]
    code, event = print_json(capsys, "anchor", "--pack", pack, "--held-by", "Ben at the bank")
    assert (code, event["kind"], event["target"], event["size"]) == (0, "pack", "Ben at the bank", 22)
    assert event["pack_id"] == "P-1"
    assert event["manifest_sha256"] == hashlib.sha256(open_pack(pack)[MANIFEST]).hexdigest()
    _, status = print_json(capsys, "status")
    assert (status["anchored_size"], status["unanchored_events"], status["carried"]) == (22, 1, [])


def test_a_pack_that_was_never_written_carries_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(home)
    with open_database(home) as connection:
        append_event(
            connection, actor="ada", action=Action.PACK_REFUSED, object_id="P-1", payload={"reason": "Refused"}
        )
    assert print_json(capsys, "status")[1]["carried"] == []


def test_what_is_no_pack_of_this_log_anchors_nothing(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pack, other = export(home), tmp_path / "other"
    other.mkdir()
    unrelated = export(other, "P-2")
    files = open_pack(pack)
    write_events(home, 1)
    loose = {"README.txt": b"A pack.", "log/checkpoint.txt": tell(capsys, "checkpoint")[1].encode()}
    write_pack(home / "loose.zip", loose | {MANIFEST: make_manifest(loose)})
    write_pack(home / "bad.zip", files | {"README.txt": b"Another pack."})
    for path, code in ((unrelated, 2), (home / "missing.zip", 2), (home / "bad.zip", 4), (home / "loose.zip", 2)):
        assert tell(capsys, "anchor", "--pack", path, "--held-by", "Ben")[0] == code, path
    for options in (("--pack", pack), ("--held-by", "Ben"), (), ("--kind", "ci", "--target", "x")):
        assert tell(capsys, "anchor", *options)[0] == 2
    assert tell(capsys, "anchor", "--pack", pack, "--held-by", "Ben", "--size", "22")[0] == 2
    assert print_json(capsys, "status")[1]["anchored_size"] == 0


def test_status_says_what_is_sealed_what_no_external_checkpoint_covers_and_what_has_no_end(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = RunStart("r1", "t", "ada", "s1", "claim_test", "key", "m", "p", "{}", "{}")
    RunLog(home).start(start, ClaimRun("C-0001", "d"))
    code, out = tell(capsys, "status")
    assert code == 0
    assert "22 events" in out
    assert "last checkpoint over 21 events" in out
    assert "external checkpoint: none yet; 22 events" in out
    assert "running: claim_test r1" in out
    _, status = print_json(capsys, "status")
    assert (status["checkpoint"]["size"], status["unended"][0]["claim_id"]) == (21, "C-0001")


def test_events_are_exported_as_they_are_hashed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = tell(capsys, "export", "--events")
    with open_database(home) as connection:
        events = list_events(connection)
    assert (code, out.splitlines()) == (0, [event.body for event in events])
    assert print_json(capsys, "export", "--events")[1] == [json.loads(event.body) for event in events]
    assert print_json(capsys, "export") == (0, [])


def test_a_clock_set_back_is_reported_beside_a_whole_log(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit_core.store.database.events.read_clock", lambda: "2001-01-01T00:00:00.000000Z")
    write_events(home, 1)
    monkeypatch.undo()
    monkeypatch.setenv("AUDIT_HOME", str(home))
    code, out = tell(capsys, "verify")
    assert (code, "The clock went back at events 21" in out) == (0, True)


def test_an_empty_home_begins_a_log_and_verifies_it(own_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = print_json(capsys, "verify")
    assert (code, found["size"], found["is_whole"]) == (0, 1, True)
