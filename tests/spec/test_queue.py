"""Processes take turns at the store in the order in which they came, and one that was killed holds up nobody."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audit_core.store import open_database
from audit_core.store.database.process_lock import name_process
from audit_core.store.database.process_queue import FOLDER, Ticket, wait_in_queue

GREEDY = """
import sys, time
from pathlib import Path
from audit_core.store import open_database
home, name, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
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
"""


def start(home: Path, name: str, rounds: int) -> subprocess.Popen[bytes]:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", GREEDY, str(home), name, str(rounds)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(root)})


def test_of_several_processes_none_gets_many_turns_while_another_waits(tmp_path: Path) -> None:
    with open_database(tmp_path):
        pass
    names, rounds = "abc", 8
    running = [start(tmp_path, name, rounds) for name in names]
    while not all((tmp_path / f"ready-{name}").exists() for name in names):
        time.sleep(0.01)
    (tmp_path / "go").touch()
    assert [process.wait(120) for process in running] == [0] * len(names)
    order = (tmp_path / "order.txt").read_text()
    assert sorted(order) == sorted(names * rounds)
    while_all_wait = order[: 2 * len(names) * (rounds // 2)]
    assert max(len(run) for name in names for run in _list_runs(while_all_wait, name)) <= 2, order


def _list_runs(order: str, name: str) -> list[str]:
    return ["", *"".join(one if one == name else " " for one in order).split()]


def _start_waiting(home: Path) -> subprocess.Popen[bytes]:
    """A process with a ticket."""
    code = (
        "import sys, time; from pathlib import Path; from audit_core.store.database.process_queue import wait_in_queue\n"
        "with wait_in_queue(Path(sys.argv[1])):\n print('in', flush=True); time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"in\n"
    return process


def test_the_ticket_of_a_killed_process_is_taken_away(tmp_path: Path) -> None:
    process = _start_waiting(tmp_path)
    with wait_in_queue(tmp_path) as ticket:
        assert not ticket.wait(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait(20)
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
        process.kill()
        process.wait(20)


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
