"""Keys that are followed by others or revoked: the log tells of it, who goes signs for who comes, and nobody signs out of turn."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from toy.forged_log import forge, sign_now, write_events

from audit_core.cli import main
from audit_core.cli.keys import describe_trust
from audit_core.errors import Refused
from audit_core.evidence import keys
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.keys import SigningKey, load_log_key, name_key
from audit_core.store import (
    Action,
    Verification,
    list_events,
    list_keys,
    load_key,
    make_key,
    open_database,
    revoke_key,
    revoke_log_key,
    rotate_key,
    rotate_log_key,
    verify_log,
)
from audit_core.store.database.checkpoints import list_checkpoints
from audit_core.store.database.key_chain import list_log_keys
from audit_core.verifier.ed25519 import is_signed_by
from audit_core.verifier.note import list_signers
from audit_core.verifier.trust import read_trust


@pytest.fixture
def home(own_home: Path) -> Path:
    """A log of six events: the first names its key."""
    own_home.mkdir()
    write_events(own_home, 5)
    return own_home


@pytest.fixture
def unrelated(tmp_path: Path) -> SigningKey:
    (tmp_path / "elsewhere").mkdir()
    return keys.open_log_key(tmp_path / "elsewhere")


def verify(home: Path, public_key: bytes | None = None, *held: str) -> Verification:
    with open_database(home) as connection:
        key = load_log_key(home).public_key if public_key is None else public_key
        return verify_log(connection, public_key=key, external=held, is_own=public_key is None)


def texts(found: Verification) -> list[str]:
    return [f"{one.fault} {one.seq}: {one.text}" for one in found.findings]


def signers_by_size(home: Path, *public_keys: bytes) -> dict[int, list[int]]:
    """Which of these keys signed the checkpoint of each size."""
    with open_database(home) as connection:
        rows = list_checkpoints(connection)
    return {
        row.size: [
            public_keys.index(key) for key in list_signers(row.note, origin=row.note.split("\n")[0], public_keys=public_keys)
        ]
        for row in rows
    }  # fmt: skip


def print_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    capsys.readouterr()
    code = main([*map(str, arguments), "--json"])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else None


# The log's key.


def test_the_old_log_key_signs_for_the_new_one_once_and_then_the_new_one_alone(home: Path) -> None:
    old = load_log_key(home).public_key
    rotate_log_key(home, actor="ada")
    new = load_log_key(home).public_key
    write_events(home, 1)
    sign_now(home)
    with open_database(home) as connection:
        reported = list_events(connection)[6]
    assert (reported.action, reported.object_id) == ("key.rotated", name_key(old))
    assert (reported.payload["keyid"], reported.payload["public_key"]) == (name_key(new), new.hex())
    assert signers_by_size(home, old, new) == {6: [0], 7: [0, 1], 8: [1]}


def test_the_old_logs_private_key_is_gone_after_a_rotation(home: Path) -> None:
    old = load_log_key(home)
    key = rotate_log_key(home, actor="ada")
    assert load_log_key(home).keyid == key.keyid != old.keyid
    assert [path.name for path in (home / "keys").iterdir()] == ["log.pem"]


def test_a_log_is_whole_by_every_key_that_it_ever_had(home: Path) -> None:
    known = [load_log_key(home).public_key]
    held = [sign_now(home)]
    for _ in range(2):
        rotate_log_key(home, actor="ada")
        write_events(home, 2)
        held.append(sign_now(home))
        known.append(load_log_key(home).public_key)
    for key in known:
        found = verify(home, key, *held)
        assert (texts(found), found.rests_on_revoked, found.revoked) == ([], False, ())
    assert texts(verify(home)) == []


@pytest.mark.parametrize("size", [6, 8])
def test_a_checkpoint_by_a_key_that_was_not_in_force_at_its_size_is_refused(size: int, home: Path) -> None:
    """An old state signed anew with the new key, and a new one signed with the old key, by whoever kept that."""
    old = load_log_key(home)
    rotate_log_key(home, actor="ada")
    new = load_log_key(home)
    write_events(home, 1)
    sign_now(home)
    with forge(home) as file:
        file.sign(new if size == 6 else old, at=size)
    assert texts(verify(home)) == ["checkpoint None: not a checkpoint of this log: no signature of this log's key"]


@pytest.mark.parametrize("action", ["key.rotated", "key.revoked"])
def test_a_change_of_key_that_the_key_before_did_not_sign_for_is_found(
    action: str, home: Path, unrelated: SigningKey
) -> None:
    """Whoever may write the file, and has no key of the log, begins one of their own."""
    known = load_log_key(home).public_key
    sign_now(home)
    with forge(home) as file:
        file.insert(5, action, keyid=unrelated.keyid, public_key=unrelated.public_key.hex(), signs="checkpoints")
        file.relink()
        file.sign(unrelated, at=6)
    for key in (known, unrelated.public_key):
        assert "key 5: event 5 names another key of the log, and no checkpoint signed with the key before says so too" in texts(verify(home, key))  # fmt: skip


def test_a_change_of_key_with_its_checkpoint_taken_away_is_found(home: Path) -> None:
    rotate_log_key(home, actor="ada")
    write_events(home, 1)
    sign_now(home)
    with forge(home) as file:
        file.checkpoints = [row for row in file.checkpoints if row["size"] != 7]
    assert [one.seq for one in verify(home).findings] == [6]


def test_a_rotated_key_cannot_undo_the_rotation_for_those_who_know_the_new_one(home: Path) -> None:
    """Everything since is cut off and the rest rewritten: by the old key the file is whole, by the new one it is not."""
    old = load_log_key(home)
    sign_now(home)
    rotate_log_key(home, actor="ada")
    with forge(home) as file:
        del file.rows[6:]
        file.forget_checkpoints(beyond=6)
        file.edit(3, value=1.0)
        file.relink()
        file.sign(old)
    assert texts(verify(home, old.public_key)) == []
    assert "key None: the log does not contain the known key" in texts(verify(home))


def test_a_crash_between_the_event_and_the_files_is_made_good_at_the_next_signing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = load_log_key(home).keyid
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power"):
        patch.setattr("audit_core.store.database.key_chain.take_next_key", _fail)
        rotate_log_key(home, actor="ada")
    assert load_log_key(home).keyid == old
    write_events(home, 1)
    sign_now(home)
    assert load_log_key(home).keyid != old
    assert texts(verify(home)) == []


def test_a_crash_before_the_event_changes_no_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = load_log_key(home).keyid
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power"):
        patch.setattr("audit_core.store.keys.log_key.sign_log", _fail)
        rotate_log_key(home, actor="ada")
    write_events(home, 1)
    sign_now(home)
    assert load_log_key(home).keyid == old
    assert texts(verify(home)) == []
    assert rotate_log_key(home, actor="ada").keyid == load_log_key(home).keyid != old


def _fail(*_: object) -> None:
    raise RuntimeError("power")


def test_an_older_key_put_back_signs_nothing_and_is_named(home: Path) -> None:
    shutil.copy(home / "keys/log.pem", home.parent / "copy")
    rotate_log_key(home, actor="ada")
    shutil.copy(home.parent / "copy", home / "keys/log.pem")
    write_events(home, 1)
    with pytest.raises(Refused, match="the key in force is"):
        sign_now(home)
    assert texts(verify(home)) == ["key None: the key kept here is not the one in force since event 6"]


# A log key that leaked.


def test_what_rests_on_a_revoked_log_key_is_named_and_is_no_fault(home: Path) -> None:
    old = load_log_key(home).public_key
    write_events(home, 1)
    held = sign_now(home)
    revoke_log_key(home, actor="ada", reason="found in a backup", since=6)
    found = verify(home, None, held)
    assert (found.findings, found.rests_on_revoked) == ((), False)
    (revoked,) = found.revoked
    assert (revoked.keyid, revoked.at, revoked.since, revoked.reason) == (name_key(old), 7, 6, "found in a backup")
    assert revoked.checkpoints == (7,), "the one over 6 is older than the leak, and the one over 8 bears both keys"
    assert signers_by_size(home, old, load_log_key(home).public_key) == {6: [0], 7: [0], 8: [0, 1]}


def test_a_revoked_log_key_signs_nothing_after_its_revocation(home: Path) -> None:
    thief = load_log_key(home)
    revoke_log_key(home, actor="ada", reason="stolen")
    write_events(home, 1)
    sign_now(home)
    with forge(home) as file:
        file.sign(thief, at=8)
    assert [one.fault for one in verify(home).findings] == ["checkpoint"]


def test_a_verifier_with_only_the_revoked_log_key_sees_that_it_attests_nothing_since(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = base64.b64encode(load_log_key(home).public_key).decode()
    code, _ = print_json(capsys, "log", "key", "revoke", "--reason", "stolen")
    assert code == 0
    code, found = print_json(capsys, "log", "verify", "--public-key", old)
    assert (code, found["findings"], found["rests_on_revoked"]) == (3, [], True)
    assert main(["log", "verify", "--public-key", old]) == 3
    out = capsys.readouterr().out
    assert "get the log's current key through a separate channel" in out
    assert "Only an earlier external checkpoint detects that" in out
    assert main(["log", "verify"]) == 0


def test_what_a_revoked_key_attested_can_still_be_rewritten_and_only_an_outsider_sees(home: Path) -> None:
    """The thief rewrites the file before the revocation; the owner revokes, and signs the false history with the new key."""
    held = sign_now(home)
    thief = load_log_key(home)
    with forge(home) as file:
        file.edit(3, value=1.0)
        file.relink()
        file.sign(thief)
    revoke_log_key(home, actor="ada", reason="stolen")
    assert texts(verify(home)) == []
    assert [one.fault for one in verify(home, None, held).findings] == ["held_checkpoint"]


@pytest.mark.parametrize("options", [(), ("--reason", " "), ("--reason", "x", "--since", "6"), ("--reason", "x", "--since", "-1")])  # fmt: skip
def test_a_revocation_without_a_reason_or_of_no_event_is_refused(
    options: tuple[str, ...], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["log", "key", "revoke", *options]) == 2
    with open_database(home) as connection:
        assert len(list_log_keys(connection)) == 1


# Keys of people.


def test_a_persons_new_key_is_named_by_a_statement_that_the_old_one_signed(home: Path) -> None:
    old, new = make_key(home, "ada"), rotate_key(home, "ada")
    assert load_key(home, "ada") == new != old
    with open_database(home) as connection:
        event = list_events(connection, action=Action.KEY_ROTATED)[0]
    said = event.payload["statement"]
    assert (event.actor, event.object_id, said["person"]) == ("ada", old.keyid, "ada")
    assert (said["keyid"], said["next_keyid"]) == (old.keyid, new.keyid)
    assert is_signed_by(old.public_key, dump_canonical(said), bytes.fromhex(event.payload["signature"]))
    assert texts(verify(home)) == []
    assert sorted(path.name for path in (home / "keys").iterdir()) == ["ada.pem", "log.pem"]


@pytest.mark.parametrize("change", ["signature", "person", "keyid", "statement"])
def test_a_new_key_that_the_old_one_did_not_sign_for_is_found(change: str, home: Path, unrelated: SigningKey) -> None:
    make_key(home, "ada")
    rotate_key(home, "ada")
    false = {"signature": "00" * 64, "person": "bob", "keyid": unrelated.keyid, "statement": {}}
    with forge(home) as file:
        seq = next(number for number, row in enumerate(file.rows) if row["action"] == "key.rotated")
        file.edit(seq, **{change: false[change]})
        file.relink()
        file.sign(file.key)
    assert texts(verify(home)) == [f"key {seq}: event {seq} names a new key that the key before it did not sign for"]


@pytest.mark.parametrize("end", ["rotate", "revoke"])
def test_a_key_that_is_no_longer_in_force_signs_nothing_though_its_file_is_put_back(
    end: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_key(home, "ada")
    shutil.copy(home / "keys/ada.pem", home.parent / "copy")
    assert main(["keys", end, "ada", *(["--reason", "stolen"] if end == "revoke" else [])]) == 0
    for name in ("ada", "bob"):
        shutil.copy(home.parent / "copy", home / f"keys/{name}.pem")
        with pytest.raises(Refused, match="revoked at|rotated at"):
            load_key(home, name)
    capsys.readouterr()
    assert main(["approve", "p.zip", "--key", "ada", "--role", "reviewer"]) == 2
    assert main(["pack", "C-0001", "--out", "p.zip", "--key", "ada"]) == 2
    assert capsys.readouterr().err.count("The key sha256:") == 2


def test_a_revoked_keys_file_is_gone_and_its_person_can_have_another(home: Path) -> None:
    first = make_key(home, "ada")
    revoke_key(home, "ada", actor="root", reason="left on a train")
    assert not (home / "keys/ada.pem").exists()
    with pytest.raises(Refused, match="revoked at .*: left on a train"):
        load_key(home, "ada")
    second = make_key(home, "ada")
    assert load_key(home, "ada") == second
    with open_database(home) as connection:
        lives = list_keys(connection, "ada")
    assert [(life.keyid, life.is_in_force) for life in lives] == [(first.keyid, False), (second.keyid, True)]


def test_a_key_that_was_lost_can_be_revoked_and_one_that_was_never_made_cannot(home: Path) -> None:
    make_key(home, "ada")
    (home / "keys/ada.pem").unlink()
    assert revoke_key(home, "ada", actor="root", reason="lost").revoked_at is not None
    for person in ("ada", "bob"):
        with pytest.raises(Refused, match="in force"):
            revoke_key(home, person, actor="root", reason="again")


def test_a_persons_rotation_that_a_crash_cut_short_is_made_good(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = make_key(home, "ada")
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power"):
        patch.setattr("audit_core.evidence.keys.take_next_key", _fail)
        rotate_key(home, "ada")
    assert keys.load_key(home, "ada") == old
    assert load_key(home, "ada").keyid != old.keyid
    assert not (home / "keys/ada.pem.next").exists()


def test_a_key_that_was_brought_here_is_rotated_where_it_was_made(home: Path) -> None:
    keys.make_key(home, "ada")
    assert "valid_from" in describe_trust(home, [("ada", "preparer")])
    with pytest.raises(Refused, match="was not made here"):
        rotate_key(home, "ada")


def test_the_trust_file_names_every_key_with_its_times(home: Path) -> None:
    first = make_key(home, "ada")
    second = rotate_key(home, "ada")
    revoke_key(home, "ada", actor="root", reason="stolen")
    third, log = make_key(home, "ada"), load_log_key(home)
    assert "valid_to" not in describe_trust(home, [])
    rotate_log_key(home, actor="root")
    revoke_log_key(home, actor="root", reason="stolen")
    trust = read_trust(describe_trust(home, [("ada", "preparer")]).encode())
    assert {name: (key.valid_to is not None, key.revoked_at is not None) for name, key in trust.keys.items()} == {
        first.keyid: (True, False), second.keyid: (False, True), third.keyid: (False, False),
    }  # fmt: skip
    (rows,) = trust.logs.values()
    assert [(row.valid_to is not None, row.revoked_at is not None) for row in rows] == [(True, False), (False, True), (False, False)]  # fmt: skip
    assert (rows[0].keyid, rows[2].keyid) == (log.keyid, load_log_key(home).keyid)
    assert rows[0].valid_to == rows[1].valid_from
