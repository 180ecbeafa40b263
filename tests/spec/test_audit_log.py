"""The audit log: what is appended stays, in one transaction with its cause, sealed in time, through crashes and set-back clocks."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from toy.forged_log import forge, sign_now, write_events
from toy.forked import Forked, Say

from audit_core.errors import IntegrityError, Refused, StoreRefused
from audit_core.evidence.keys import load_log_key
from audit_core.evidence.merkle_proofs import prove_consistency, prove_inclusion
from audit_core.evidence.note import sign_checkpoint
from audit_core.store import (
    Action,
    AnchorKind,
    AuditEvent,
    Verification,
    anchor_checkpoint,
    append_event,
    list_events,
    open_database,
    read_status,
    verify_log,
)
from audit_core.store.database import checkpoints, events
from audit_core.store.database.checkpoints import MAX_EVENTS, SEALING, list_checkpoints, list_leaves
from audit_core.store.database.connection import DATABASE
from audit_core.store.database.schema import SCHEMA_VERSION
from audit_core.verifier.merkle import compute_root, is_consistent, is_included
from audit_core.verifier.note import Checkpoint

T0 = "2026-01-01T00:00:00.000000Z"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def show(moment: str) -> None:
        for module in (events, checkpoints):
            monkeypatch.setattr(module, "read_clock", lambda: moment)

    return show


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """With a log that has begun, and its first checkpoint."""
    read(tmp_path)
    return tmp_path


def append(home: Path, action: Action = Action.CLAIM_REGISTERED, object_id: str = "C-1", **payload: Any) -> AuditEvent:
    with open_database(home) as connection:
        return append_event(connection, actor="ada", action=action, object_id=object_id, payload=payload)


def read(home: Path) -> tuple[AuditEvent, ...]:
    with open_database(home) as connection:
        return list_events(connection)


def sizes(home: Path) -> list[int]:
    with open_database(home) as connection:
        return [one.size for one in list_checkpoints(connection)]


def verify(home: Path, *held: str) -> Verification:
    with open_database(home) as connection:
        return verify_log(connection, public_key=load_log_key(home).public_key, external=held)


def test_an_event_is_its_bytes_and_names_the_one_before_it(tmp_path: Path, clock: Callable[[str], None]) -> None:
    clock(T0)
    event = append(tmp_path, value=0.1, text="e\u0301")
    first, again = read(tmp_path)
    assert event == again
    assert event.body == (
        f'{{"action":"claim.registered","actor":"ada","log_id":"{event.log_id}","object_id":"C-1",'
        f'"payload":{{"text":"\u00e9","value":0.1}},"prev":"{first.entry}","seq":1,"tenant":"local","ts":"{T0}","v":1}}'
    )
    assert event.entry == hashlib.sha256(b"audit-entry-v1\0" + event.body.encode()).hexdigest()
    assert event.leaf == hashlib.sha256(b"\0" + event.body.encode()).hexdigest()


def test_a_log_begins_with_its_key_and_a_checkpoint(tmp_path: Path) -> None:
    (first,) = read(tmp_path)
    key = load_log_key(tmp_path)
    assert (first.seq, first.action, first.prev, first.object_id) == (0, "key.made", "0" * 64, key.keyid)
    assert first.payload["public_key"] == key.public_key.hex()
    assert first.log_id.startswith("assay/")
    assert len(first.log_id) == len("assay/") + 16
    assert sizes(tmp_path) == [1]
    assert verify(tmp_path).findings == ()


def test_two_homes_are_two_logs_and_one_is_no_witness_of_the_other(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for home in (one, two):
        home.mkdir()
    assert read(one)[0].log_id != read(two)[0].log_id
    assert [finding.fault for finding in verify(two, sign_now(one)).findings] == ["held_checkpoint"]


def test_an_event_is_committed_or_rolled_back_with_its_change(tmp_path: Path) -> None:
    append(tmp_path)
    with pytest.raises(ZeroDivisionError), open_database(tmp_path) as connection:
        append_event(connection, actor="ada", action=Action.PREREG_FROZEN, object_id="P-1", payload={})
        assert len(list_events(connection)) == 3
        raise ZeroDivisionError
    assert len(read(tmp_path)) == 2
    assert verify(tmp_path).findings == ()


def test_a_change_whose_event_is_refused_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="canonical"), open_database(tmp_path) as connection:
        connection.execute("INSERT INTO schema_version VALUES (1)")
        append_event(
            connection, actor="ada", action=Action.CLAIM_REGISTERED, object_id="C", payload={"x": float("nan")}
        )
    with open_database(tmp_path) as connection:
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(SCHEMA_VERSION,)]


@pytest.mark.parametrize(
    "changes",
    [
        {"actor": ""},
        {"actor": "a" * 401},
        {"object_id": "x" * 401},
        {"payload": {"prompt": "x" * 40_000}},
        {"payload": {"seed": 2**53}},
        {"payload": {"x": float("inf")}},
        {"payload": {"x": "\ud800"}},
        {"payload": {"x": b"bytes"}},
    ],
)
def test_what_is_no_event_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    wanted: dict[str, Any] = {"actor": "ada", "object_id": "C-1", "payload": {}}
    with pytest.raises(Refused), open_database(tmp_path) as connection:
        append_event(connection, action=Action.CLAIM_REGISTERED, **(wanted | changes))
    assert len(read(tmp_path)) == 1


def test_an_unknown_action_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run.forgotten"), open_database(tmp_path) as connection:
        append_event(connection, actor="a", action="run.forgotten", object_id="x", payload={})  # type: ignore[arg-type]
    assert len(read(tmp_path)) == 1


@pytest.mark.parametrize("table", ["audit_event", "audit_checkpoint", "runs", "run_start"])
def test_what_is_written_is_not_changed_by_accident(table: str, tmp_path: Path) -> None:
    append(tmp_path)
    columns = {"audit_event": "actor", "audit_checkpoint": "note", "runs": "outcome", "run_start": "kind"}
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {columns[table]} = 'x'", f"TRUNCATE {table}"):
        with pytest.raises(duckdb.InvalidInputException, match="append-only"), open_database(tmp_path) as connection:
            connection.execute(statement)
    assert len(read(tmp_path)) == 2


def test_events_are_found_by_object_and_action(tmp_path: Path) -> None:
    append(tmp_path, object_id="C-1")
    append(tmp_path, object_id="C-2")
    append(tmp_path, action=Action.CLAIM_WITHDRAWN, object_id="C-1")
    with open_database(tmp_path) as connection:
        assert [event.seq for event in list_events(connection, object_id="C-1")] == [1, 3]
        assert [event.seq for event in list_events(connection, action=Action.CLAIM_REGISTERED)] == [1, 2]
        assert [event.seq for event in list_events(connection, object_id="C-1", action=Action.CLAIM_WITHDRAWN)] == [3]
        assert [event.seq for event in list_events(connection, start=2)] == [2, 3]


# Checkpoints


@pytest.mark.parametrize("action", sorted(SEALING))
def test_what_must_not_be_lost_is_sealed_at_once(action: Action, home: Path) -> None:
    append(home)
    assert sizes(home) == [1]
    append(home, action=action)
    assert sizes(home) == [1, 3]


def test_a_hundred_events_are_sealed_and_ninety_nine_are_not(home: Path) -> None:
    write_events(home, MAX_EVENTS - 1)
    assert sizes(home) == [1]
    append(home)
    assert sizes(home) == [1, 101]


def test_an_hour_is_sealed_at_the_next_event(home: Path, clock: Callable[[str], None]) -> None:
    for moment, wanted in (
        ("2100-01-01T00:30:00.000000Z", [1]),
        ("2100-01-01T01:29:59.000000Z", [1]),
        ("2100-01-01T01:30:00.000000Z", [1, 4]),
        ("2100-01-01T01:30:01.000000Z", [1, 4]),
        ("2100-01-01T02:30:00.000000Z", [1, 4]),
        ("2100-01-01T02:30:01.000000Z", [1, 4, 7]),
    ):
        clock(moment)
        append(home)
        assert sizes(home) == wanted, moment


def test_reading_signs_nothing(tmp_path: Path) -> None:
    append(tmp_path)
    (tmp_path / "keys/log.pem").unlink()
    assert len(read(tmp_path)) == 2


def test_a_log_without_its_key_refuses_what_must_be_sealed(tmp_path: Path) -> None:
    append(tmp_path)
    (tmp_path / "keys/log.pem").chmod(0o644)
    with pytest.raises(Refused, match="0644"):
        append(tmp_path, action=Action.VERDICT_REACHED)
    assert len(read(tmp_path)) == 2, "the verdict went with its checkpoint"


def test_proofs_made_of_the_log_hold_against_its_checkpoints(home: Path) -> None:
    write_events(home, 20)
    old = sign_now(home)
    write_events(home, 13, start=20)
    sign_now(home)
    with open_database(home) as connection:
        _, before, after = list_checkpoints(connection)
        leaves = list_leaves(connection, size=after.size)
        reported = list_events(connection)
    assert (before.note, before.size, after.size) == (old, 21, 34)
    assert compute_root(leaves).hex() == after.root
    proof = prove_consistency(before.size, leaves)
    assert is_consistent(21, 34, proof, bytes.fromhex(before.root), bytes.fromhex(after.root))
    for event in (reported[7], reported[33]):
        shown = prove_inclusion(event.seq, leaves)
        assert is_included(event.seq, 34, bytes.fromhex(event.leaf), shown, bytes.fromhex(after.root))


def test_the_unanchored_window_counts_from_what_others_hold(tmp_path: Path, clock: Callable[[str], None]) -> None:
    clock(T0)
    read(tmp_path)
    write_events(tmp_path, 9)
    sign_now(tmp_path)
    clock("2026-01-01T00:10:00.000000Z")

    def status() -> tuple[int, int, int, float]:
        with open_database(tmp_path) as connection:
            seen = read_status(connection)
        return seen.size, seen.anchored_size, seen.unanchored_events, seen.unanchored_s

    assert status() == (10, 0, 10, 600.0)
    with open_database(tmp_path) as connection:
        event = anchor_checkpoint(connection, actor="ada", kind=AnchorKind.CI, target="job 7", size=10)
    assert event.payload["kind"] == "ci"
    assert status() == (11, 10, 1, 0.0)
    clock("2026-01-01T00:12:00.000000Z")
    append(tmp_path)
    with open_database(tmp_path) as connection:
        anchor_checkpoint(connection, actor="ada", kind=AnchorKind.FILE, target="disk", size=1)
    assert status() == (13, 10, 3, 120.0), "an older checkpoint found again vouches for no more"
    with pytest.raises(Refused, match="No checkpoint over 5"), open_database(tmp_path) as connection:
        anchor_checkpoint(connection, actor="ada", kind=AnchorKind.PACK, target="pack", size=5)


# Clock


def test_a_clock_set_back_is_logged_and_nothing_is_reordered(tmp_path: Path, clock: Callable[[str], None]) -> None:
    for minute in (0, 5, 3, 4, 6):
        clock(f"2026-01-01T00:0{minute}:00.000000Z")
        append(tmp_path, object_id=f"at {minute}")
    seen = [(event.action, event.object_id) for event in read(tmp_path)[1:]]
    assert seen == [
        ("claim.registered", "at 0"),
        ("claim.registered", "at 5"),
        ("clock.went_back", "2"),
        ("claim.registered", "at 3"),
        ("claim.registered", "at 4"),
        ("claim.registered", "at 6"),
    ]
    assert read(tmp_path)[3].payload == {"from": "2026-01-01T00:05:00.000000Z", "to": "2026-01-01T00:03:00.000000Z"}
    found = verify(tmp_path)
    assert (found.findings, found.clock_went_back) == ((), (3,))


def test_an_earlier_time_that_no_event_reports_is_a_finding(tmp_path: Path) -> None:
    write_events(tmp_path, 9)
    with forge(tmp_path) as file:
        record = json.loads(file.rows[5]["body"]) | {"ts": T0}
        file.rows[5]["body"] = json.dumps(record, sort_keys=True, separators=(",", ":"))
        file.rows[5]["ts"] = T0
        file.rehash(5)
        for at in range(6, 10):
            record = json.loads(file.rows[at]["body"]) | {"prev": file.rows[at - 1]["entry"]}
            file.rows[at] |= {"body": json.dumps(record, sort_keys=True, separators=(",", ":")), "prev": record["prev"]}
            file.rehash(at)
    with open_database(tmp_path) as connection:
        (finding,) = verify_log(connection).findings
    assert (finding.fault, finding.seq) == ("clock", 5)


# What the file says of itself


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('{"v":1}', "unreadable"),
        ("{", "unreadable"),
        ("[]", "unreadable"),
        ('{"a":1,"a":2}', "unreadable"),
    ],
)
def test_a_body_that_is_no_event_is_named(body: str, fault: str, home: Path) -> None:
    write_events(home, 5)
    with forge(home) as file:
        file.rows[3]["body"] = body
        file.rehash(3)
    found = verify(home)
    assert fault in [finding.fault for finding in found.findings]
    assert found.first_bad == 3
    with pytest.raises(IntegrityError, match="log verify"):
        read(home)


def test_another_spelling_of_the_same_event_is_a_finding(tmp_path: Path) -> None:
    write_events(tmp_path, 5)
    with forge(tmp_path) as file:
        last = file.rows[-1]
        last["body"] = last["body"].replace(":", ": ", 1)
        file.rehash(-1)
    with open_database(tmp_path) as connection:
        (finding,) = verify_log(connection).findings
    assert finding.text == "event 5 is not in canonical form"


@pytest.mark.parametrize("column", ["log_id", "ts", "tenant", "actor", "action", "object_id", "prev", "entry", "leaf"])
def test_every_column_is_compared_with_its_body(column: str, tmp_path: Path) -> None:
    write_events(tmp_path, 5)
    with forge(tmp_path) as file:
        file.rows[3][column] = "0" * 63 + "1"
    assert verify(tmp_path).first_bad == 3


@pytest.mark.parametrize("column", ["size", "root", "head"])
def test_the_columns_of_a_checkpoint_are_compared_with_its_note(column: str, tmp_path: Path) -> None:
    write_events(tmp_path, 5)
    with forge(tmp_path) as file:
        file.checkpoints[0][column] = 2 if column == "size" else "0" * 64
    assert [finding.fault for finding in verify(tmp_path).findings] == ["checkpoint"]


def test_a_checkpoint_that_names_another_head_is_a_finding(home: Path) -> None:
    with forge(home) as file:
        signed = file.checkpoints[0]
        reported = Checkpoint(signed["log_id"], 1, bytes.fromhex(signed["root"]), "0" * 64)
        signed |= {"head": reported.head, "note": sign_checkpoint(file.key, reported)}
    assert [finding.text for finding in verify(home).findings] == [
        "event 0 differs from the last event of a checkpoint"
    ]


def test_a_log_whose_first_event_is_gone_is_no_empty_log(tmp_path: Path) -> None:
    write_events(tmp_path, 2)
    with forge(tmp_path) as file:
        file.rows.clear()
        file.checkpoints.clear()
    assert [finding.text for finding in verify(tmp_path).findings] == ["the log has no first event"]


@pytest.mark.parametrize("statement", ["DROP TABLE audit_checkpoint", "DROP TABLE audit_log", "DELETE FROM audit_log"])
def test_a_missing_table_is_no_new_log(statement: str, tmp_path: Path) -> None:
    append(tmp_path)
    with duckdb.connect(str(tmp_path / DATABASE)) as raw:
        raw.execute(statement)
    with pytest.raises(IntegrityError, match=r"lacks|contains 0 log ids"):
        verify(tmp_path)


def test_a_damaged_block_is_distinguished_from_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    write_events(tmp_path, 50)
    path = tmp_path / DATABASE
    data = bytearray(path.read_bytes())
    at = data.find(b"person 3")
    assert at > 0
    data[at : at + 6] = b"nobody"
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="damaged"):
        verify(tmp_path)


def test_a_log_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    read(tmp_path)
    with duckdb.connect(str(tmp_path / DATABASE)) as raw:
        raw.execute("INSERT INTO schema_version VALUES (99)")
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(StoreRefused, match="version 99"):
        append(tmp_path)
    assert (tmp_path / DATABASE).read_bytes() == before


# Threats 11 and 12


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('{outside}')",
        "COPY audit_event TO '{outside}.csv'",
        "ATTACH '{outside}.duckdb' AS z",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "LOAD httpfs",
        "SET allowed_paths = ['{outside}']",
        "SET memory_limit = '100GB'",
        "SET lock_configuration = false",
        "EXPORT DATABASE '{outside}'",
    ],
)
def test_the_database_reaches_no_file_extension_or_setting(statement: str, tmp_path: Path) -> None:
    outside, home = tmp_path / "outside", tmp_path / "home"
    home.mkdir()
    outside.write_text("canary")
    append(home)
    with pytest.raises(duckdb.Error), open_database(home) as connection:
        connection.execute(statement.format(outside=outside))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "outside"]
    assert len(read(home)) == 2


def test_a_home_with_any_name_is_opened_and_nothing_else(tmp_path: Path) -> None:
    home = tmp_path / "it's; DROP TABLE runs; --"
    home.mkdir()
    (tmp_path / "link").symlink_to(home)
    append(tmp_path / "link")
    assert len(read(home)) == 2


# Crashes and races


def write_elsewhere(home: Path, name: str, count: int) -> Forked:
    """A process that appends events and says each one's number."""

    def write(say: Say) -> None:
        for n in range(count):
            with open_database(home) as connection:
                event = append_event(
                    connection, actor=name, action=Action.PREREG_FROZEN, object_id=f"{name}-{n}", payload={}
                )
            say(event.seq)

    return Forked(write)


def test_nothing_that_was_recorded_is_lost_when_a_writer_is_killed(home: Path) -> None:
    recorded = 0
    for delay in (0.0, 0.011, 0.023):
        writer = write_elsewhere(home, "w", 10_000)
        writer.said.readline()
        time.sleep(0.2 + delay)
        writer.send_signal(signal.SIGKILL)
        code, reported = writer.end()
        assert code == -signal.SIGKILL
        recorded = max([recorded, *map(int, reported)])
    found = verify(home)
    assert found.findings == ()
    assert found.size > recorded > 5
    assert found.checkpoints == found.size, "each event was to be sealed with its own transaction"


def test_a_writer_killed_inside_its_transaction_leaves_nothing_of_it(tmp_path: Path) -> None:
    append(tmp_path)

    def write(say: Say) -> None:
        with open_database(tmp_path) as connection:
            for _ in range(50):
                append_event(connection, actor="w", action=Action.HALF_OPENED, object_id="x", payload={})
            os.kill(os.getpid(), signal.SIGKILL)

    assert Forked(write).wait() == -signal.SIGKILL
    assert (len(read(tmp_path)), verify(tmp_path).findings) == (2, ())


def test_two_writers_who_race_make_one_chain(tmp_path: Path) -> None:
    """From nothing: both may be the first."""
    writers = [write_elsewhere(tmp_path, name, 8) for name in ("a", "b")]
    ended = [writer.end() for writer in writers]
    assert [code for code, _ in ended] == [0, 0]
    reported = [set(map(int, lines)) for _, lines in ended]
    assert reported[0] | reported[1] == set(range(1, 17))
    assert reported[0] & reported[1] == set()
    found = verify(tmp_path)
    assert (found.size, found.findings) == (17, ())


def test_a_forked_child_leaves_its_parents_engines_alone(tmp_path: Path) -> None:
    """Ending one of them in the child ends the child."""
    homes = [tmp_path / str(n) for n in range(6)]
    for home in homes:
        home.mkdir()
        append(home)
    child = os.fork()
    if child == 0:
        for home in homes:
            append(home)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    for home in homes:
        append(home)
        assert (len(read(home)), verify(home).findings) == (4, ())


@pytest.mark.slow
def test_ten_thousand_events_are_verified_in_seconds(tmp_path: Path) -> None:
    append(tmp_path)
    with forge(tmp_path) as file:
        file.rows += [dict(file.rows[1]) for _ in range(9_999)]
        file.relink()
    sign_now(tmp_path)
    begun = time.monotonic()
    found = verify(tmp_path)
    assert (found.size, found.findings, found.checkpoints) == (10_001, (), 2)
    assert time.monotonic() - begun < 20
