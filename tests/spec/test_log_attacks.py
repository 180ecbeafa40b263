"""Nineteen attacks on the audit log: what the chain, checkpoints in the same file, and checkpoints held outside each detect.

The log has 200 events; checkpoints over 50, 100, 150 and 200 of them were handed out. Attackers may write the file as they
like, keep its triggers and times in order, and leave no trace that a careful one would not leave.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from toy.forged_log import Forged, copy_home, forge, sign_now, write_events

from audit_core.errors import StoreRefused
from audit_core.evidence.keys import SigningKey, load_log_key, open_log_key
from audit_core.store import Action, Verification, append_event, make_checkpoint, open_database, verify_log
from audit_core.store.database.connection import open_restarted
from audit_core.store.database.lost_log import Restart

SIZE, TARGET = 200, 60
LATE = 160
"""For attacks that drop checkpoints: in the last hundred events, where an honest log may have none yet."""


@dataclass(frozen=True)
class Log:
    home: Path
    older: Path
    """A copy of the whole home from when the log had 120 events."""
    held: tuple[str, ...]
    public_key: bytes
    unrelated: SigningKey


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    home, older = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("older") / "home"
    held = []
    for size in (50, 100, 120, 150, 200):
        with open_database(home) as connection:
            have = len(connection.execute("SELECT 1 FROM audit_event").fetchall())
        write_events(home, size - have, start=have)
        if size == 120:
            copy_home(home, older)
        else:
            held.append(sign_now(home))
    unrelated = open_log_key(tmp_path_factory.mktemp("stranger"))
    return Log(home, older, tuple(held), load_log_key(home).public_key, unrelated)


def forged(change: Callable[[Forged], object]) -> Callable[[Path, Log], None]:
    def attack(home: Path, log: Log) -> None:
        with forge(home) as file:
            change(file)

    return attack


def rewrite(file: Forged, at: int = TARGET) -> None:
    file.edit(at, value=1.0)
    file.relink()


def rewrite_and_drop(file: Forged) -> None:
    rewrite(file, LATE)
    file.forget_checkpoints(beyond=LATE)


def swap(file: Forged) -> None:
    file.rows[TARGET], file.rows[TARGET + 1] = file.rows[TARGET + 1], file.rows[TARGET]


def swap_numbers(file: Forged) -> None:
    swap(file)
    file.rows[TARGET]["seq"], file.rows[TARGET + 1]["seq"] = TARGET, TARGET + 1


def truncate(file: Forged) -> None:
    del file.rows[180:]


def delete_everything(home: Path, log: Log) -> None:
    """And have the product begin another log, which takes a decision with a name and a reason."""
    (home / "runs.duckdb").unlink()
    with pytest.raises(StoreRefused, match="The log of this data directory is missing"), open_database(home):
        pass
    with open_restarted(home, Restart("mallory", "it was not here")):
        pass


def roll_back(home: Path, log: Log) -> None:
    shutil.copy(log.older / "runs.duckdb", home / "runs.duckdb")


def drop_unseen_tail(home: Path, log: Log) -> None:
    write_events(home, 5, start=SIZE)
    with forge(home) as file:
        assert len(file.rows) == SIZE + 5
        del file.rows[SIZE:]


def write_a_lie(home: Path, log: Log) -> None:
    with open_database(home) as connection:
        append_event(connection, actor="alice", action=Action.GATE_DECIDED, object_id="P-1", payload={"passed": True})
        make_checkpoint(connection, home)


def resign_as_a_stranger(home: Path, log: Log) -> None:
    with forge(home) as file:
        rewrite(file)
        file.sign(log.unrelated)


ATTACKS: list[tuple[str, Callable[[Path, Log], None], tuple[bool, bool, bool]]] = [
    ("edit body", forged(lambda f: f.edit(TARGET, value=1.0)), (True, True, True)),
    ("edit only a projected column", forged(lambda f: f.rows[TARGET].update(actor="mallory")), (True, True, True)),
    ("move row to other tenant", forged(lambda f: f.rows[TARGET].update(tenant="t9")), (True, True, True)),
    ("edit + rehash that row", forged(lambda f: (f.edit(TARGET, value=1.0), f.rehash(TARGET))), (True, True, True)),
    ("edit + rehash whole chain", forged(rewrite), (False, True, True)),
    ("… and drop checkpoints", forged(rewrite_and_drop), (False, False, True)),
    ("… and re-sign with another key", resign_as_a_stranger, (False, True, True)),
    ("… and re-sign with the stolen log key", forged(lambda f: (rewrite(f), f.sign(f.key))), (False, False, True)),
    ("delete middle row", forged(lambda f: f.rows.pop(TARGET)), (True, True, True)),
    ("delete + relink + renumber", forged(lambda f: (f.rows.pop(TARGET), f.relink())), (False, True, True)),
    ("truncate tail", forged(truncate), (False, True, True)),
    ("truncate tail + drop late checkpoints", forged(lambda f: (truncate(f), f.forget_checkpoints(beyond=180))), (False, False, True)),
    ("delete everything", delete_everything, (False, False, True)),
    ("swap two rows", forged(swap_numbers), (True, True, True)),
    ("reorder + rehash", forged(lambda f: (swap(f), f.relink())), (False, True, True)),
    ("insert back-dated + rehash", forged(lambda f: (f.rows.insert(TARGET, dict(f.rows[TARGET - 1])), f.relink())), (False, True, True)),
    ("roll the file back to an old copy", roll_back, (False, False, True)),
    ("remove events after the last external checkpoint", drop_unseen_tail, (False, False, False)),
    ("application writes a false event correctly", write_a_lie, (False, False, False)),
]  # fmt: skip


def begin_own_key(action: str, *, with_stolen: bool = False) -> Callable[[Path, Log], None]:
    """Rewrite, begin a key of one's own before that, and sign what follows with it; the first checkpoint stays as it was."""

    def attack(home: Path, log: Log) -> None:
        with forge(home) as file:
            file.insert(
                49, action, keyid=log.unrelated.keyid, public_key=log.unrelated.public_key.hex(), signs="checkpoints"
            )
            file.edit(TARGET, value=1.0)
            file.relink()
            file.sign(log.unrelated)
            file.sign(file.key, at=1)
            file.sign(*((file.key, log.unrelated) if with_stolen else (log.unrelated,)), at=50)

    return attack


KEY_ATTACKS: list[tuple[str, Callable[[Path, Log], None], tuple[bool, bool, bool]]] = [
    ("rotated to the attacker's key", begin_own_key("key.rotated"), (False, True, True)),
    ("revoked for the attacker's key", begin_own_key("key.revoked"), (False, True, True)),
    ("… and signed for with the stolen log key", begin_own_key("key.rotated", with_stolen=True), (False, False, True)),
]
"""Beside the nineteen: what a log with changes of key adds to them."""


def check(home: Path, log: Log) -> tuple[Verification, Verification, Verification]:
    with open_database(home) as connection:
        return (
            verify_log(connection),
            verify_log(connection, public_key=log.public_key),
            verify_log(connection, public_key=log.public_key, external=log.held),
        )


@pytest.mark.parametrize(
    ("name", "attack", "detected"), [*ATTACKS, *KEY_ATTACKS], ids=[row[0] for row in [*ATTACKS, *KEY_ATTACKS]]
)
def test_an_attack_is_detected_by_what_can_and_missed_by_what_cannot(
    name: str, attack: Callable[[Path, Log], None], detected: tuple[bool, bool, bool], log: Log, tmp_path: Path
) -> None:
    home = copy_home(log.home, tmp_path / "attacked")
    attack(home, log)
    found = check(home, log)
    assert tuple(bool(one.findings) for one in found) == detected


def test_an_unchanged_log_has_no_finding_in_any_column(log: Log, tmp_path: Path) -> None:
    home = copy_home(log.home, tmp_path / "same")
    with forge(home):
        pass
    assert [(one.findings, one.size) for one in check(home, log)] == [((), SIZE)] * 3


def test_the_table_is_the_documented_one() -> None:
    """Missed by the chain alone 13 of 19, with checkpoints in the same file 7, with held ones 2: none can catch those."""
    assert len(ATTACKS) == 19
    missed = [sum(not row[2][column] for row in ATTACKS) for column in range(3)]
    assert missed == [13, 7, 2]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("edit body", (60, 60, 60)),
        ("edit only a projected column", (60, 60, 60)),
        ("move row to other tenant", (60, 60, 60)),
        ("edit + rehash that row", (61, 61, 61)),
        ("edit + rehash whole chain", (None, 50, 50)),
        ("… and drop checkpoints", (None, None, 150)),
        ("delete middle row", (60, 60, 60)),
        ("truncate tail", (None, 180, 180)),
        ("swap two rows", (60, 60, 60)),
        ("roll the file back to an old copy", (None, None, 120)),
    ],
)
def test_the_first_bad_event_is_named_or_the_checkpoint_behind_which_it_lies(
    name: str, first: tuple[int | None, ...], log: Log, tmp_path: Path
) -> None:
    """Signed over 50 and found whole, signed over 100 and found changed: the change lies from event 50 on."""
    home = copy_home(log.home, tmp_path / "attacked")
    dict((row[0], row[1]) for row in ATTACKS)[name](home, log)
    assert tuple(one.first_bad for one in check(home, log)) == first


def test_so_many_events_without_a_checkpoint_as_no_honest_log_has_are_a_finding(log: Log, tmp_path: Path) -> None:
    """An honest log signs every hundred events: dropping more checkpoints than that leaves a trace in the same file."""
    home = copy_home(log.home, tmp_path / "attacked")
    with forge(home) as file:
        rewrite(file)
        file.forget_checkpoints(beyond=50)
    chain, checkpoints, _ = check(home, log)
    assert not chain.findings
    assert [finding.seq for finding in checkpoints.findings] == [50]
