"""The log is checked in a copy while others write, and what was checked before never hides an edit."""

import threading
from pathlib import Path

import pytest
from toy.forged_log import forge, write_events

from audit_core.store import Action, append_event, list_events, open_database, read_log_view
from audit_core.store.log.known_good import KnownGood
from audit_core.store.log.snapshot import FOLDER


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_events(tmp_path, 30)
    return tmp_path


def test_another_thread_writes_while_the_log_is_being_checked(home: Path) -> None:
    written: list[int] = []

    def write() -> None:
        with open_database(home) as connection:
            event = append_event(
                connection, actor="ben", action=Action.PERSON_SIGNED_IN, object_id="meanwhile", payload={}
            )
            written.append(event.seq)

    def on_progress(done: int, total: int) -> None:
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(10)
        assert not thread.is_alive(), "the check holds the lock"

    trail = read_log_view(home, on_progress)
    assert written == [len(trail.events)]
    assert trail.verification.findings == ()
    assert len(read_log_view(home).events) == len(trail.events) + 1


@pytest.mark.parametrize("seq", [0, 3, 17])
def test_an_old_event_that_was_edited_after_it_was_checked_is_found(home: Path, seq: int) -> None:
    assert read_log_view(home).verification.findings == ()
    assert read_log_view(home).verification.findings == ()
    with forge(home) as file:
        file.rows[seq]["actor"] = "mallory"
    assert read_log_view(home).verification.first_bad == seq


def test_an_edit_is_found_again_at_every_check(home: Path) -> None:
    with forge(home) as file:
        file.rows[5]["actor"] = "mallory"
    assert [len(read_log_view(home).verification.findings) for _ in range(3)] == [1, 1, 1]


def test_a_check_that_is_left_goes_on_where_it_was_and_leaves_no_copy(home: Path) -> None:
    def leave(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_log_view(home, leave)
    assert list((home / FOLDER).iterdir()) == []
    with open_database(home) as connection:
        assert len(list_events(connection)) > 30


def test_what_was_wrong_is_not_kept_and_the_oldest_goes_first() -> None:
    known, checks = KnownGood[str](most=2), []

    def check(name: str, *, is_valid: bool = True) -> str:
        return known.find(name, lambda: (checks.append(name) or name, is_valid))

    for name in ("a", "b", "a", "c", "a"):
        check(name)
    check("wrong", is_valid=False)
    check("wrong", is_valid=False)
    assert checks == ["a", "b", "c", "a", "wrong", "wrong"]
