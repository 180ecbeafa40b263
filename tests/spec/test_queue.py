"""Processes take turns at the store in the order in which they came, and one that was killed holds up nobody."""

import signal
import time
from pathlib import Path

import pytest
from toy.forked import Forked, Say

from audit_core.store import open_database
from audit_core.store.database.process_lock import name_process
from audit_core.store.database.process_queue import FOLDER, Ticket, wait_in_queue


def start(home: Path, name: str, rounds: int) -> Forked:
    """A process that asks for one turn after another."""

    def ask(say: Say) -> None:
        with open_database(home):
            pass
        (home / f"ready-{name}").touch()
        while not (home / "go").exists():
            time.sleep(0.001)
        for _ in range(rounds):
            with open_database(home):
                with (home / "order.txt").open("a") as order:
                    order.write(name)
                time.sleep(0.01)

    return Forked(ask)


def test_of_several_processes_none_gets_many_turns_while_another_waits(tmp_path: Path) -> None:
    with open_database(tmp_path):
        pass
    names, rounds = "abc", 8
    running = [start(tmp_path, name, rounds) for name in names]
    while not all((tmp_path / f"ready-{name}").exists() for name in names):
        time.sleep(0.01)
    (tmp_path / "go").touch()
    assert [process.wait() for process in running] == [0] * len(names)
    order = (tmp_path / "order.txt").read_text()
    assert sorted(order) == sorted(names * rounds)
    while_all_wait = order[: 2 * len(names) * (rounds // 2)]
    assert max(len(run) for name in names for run in _list_runs(while_all_wait, name)) <= 2, order


def _list_runs(order: str, name: str) -> list[str]:
    return ["", *"".join(one if one == name else " " for one in order).split()]


def _start_waiting(home: Path) -> Forked:
    """A process with a ticket."""

    def wait(say: Say) -> None:
        with wait_in_queue(home):
            say("in")
            time.sleep(60)

    process = Forked(wait)
    assert process.said.readline() == "in\n"
    return process


def test_the_ticket_of_a_killed_process_is_taken_away(tmp_path: Path) -> None:
    process = _start_waiting(tmp_path)
    with wait_in_queue(tmp_path) as ticket:
        assert not ticket.wait(0.05)
        process.send_signal(signal.SIGKILL)
        process.end()
        assert ticket.wait(5)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_stopped_process_ahead_is_passed_over_and_keeps_its_ticket(tmp_path: Path) -> None:
    process = _start_waiting(tmp_path)
    try:
        with wait_in_queue(tmp_path) as ticket:
            assert not ticket.wait(0.05)
            process.send_signal(signal.SIGSTOP)
            assert ticket.wait(10)
            assert len(list((tmp_path / FOLDER).iterdir())) == 2
    finally:
        process.send_signal(signal.SIGKILL)
        process.end()


def test_setting_the_wall_clock_back_lets_no_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with wait_in_queue(tmp_path):
        (first,) = (tmp_path / FOLDER).iterdir()
        monkeypatch.setattr(time, "time_ns", lambda: 0)
        with wait_in_queue(tmp_path):
            assert min((tmp_path / FOLDER).iterdir()) == first


def test_an_older_ticket_of_the_same_process_is_no_reason_to_wait(tmp_path: Path) -> None:
    with wait_in_queue(tmp_path), wait_in_queue(tmp_path) as second:
        assert second.wait(0)


def test_a_file_that_is_no_ticket_stops_no_one(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    for name in ("0", "0-x-0", "00000000000000000000-../../x-0".replace("/", "_"), f"0-{'0' * 32}-0"):
        (tmp_path / FOLDER / name).touch()
    assert Ticket(tmp_path, name_process(tmp_path), tmp_path / FOLDER / "0-x-1").wait(1)
