"""Models behind the dashboard: loaded once, a failure is kept until somebody asks again, threads keep their cores."""

from __future__ import annotations

import threading
import time

import pytest

import ui.model_room
from audit_core.engine.threads import leave_a_core, take_all_cores
from audit_core.errors import ModelRefused
from ui.model_room import ModelRoom


def wait(room: ModelRoom, name: str) -> None:
    for _ in range(200):
        if room.look(name).has_failed:
            return
        time.sleep(0.02)
    raise AssertionError("it never failed")


def test_a_model_that_failed_is_not_loaded_again_until_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page opens its model at each run: it would load a broken one for ever, and never show why."""
    loads: list[str] = []

    def fail(name: str, **_: object) -> None:
        loads.append(name)
        raise ModelRefused("broken", wanted="a model", remedy="use another")

    monkeypatch.setattr(ui.model_room, "open_subject", fail)
    room = ModelRoom()
    for _ in range(3):
        room.open("x")
        wait(room, "x")
    assert loads == ["x"]
    assert "broken" in room.look("x").detail
    room.retry("x")
    wait(room, "x")
    assert loads == ["x", "x"]


def test_a_thread_that_takes_all_cores_is_not_held_back_by_one_that_left_some() -> None:
    import os

    import torch

    seen: dict[str, int] = {}
    mine = torch.get_num_threads()

    def run(name: str, prepare: object) -> None:
        prepare()  # type: ignore[operator]
        seen[name] = torch.get_num_threads()

    try:
        for name, prepare in (("live", leave_a_core), ("sweep", take_all_cores)):
            thread = threading.Thread(target=run, args=(name, prepare))
            thread.start()
            thread.join()
    finally:
        torch.set_num_threads(mine)
    assert seen == {"live": max(1, (os.cpu_count() or 1) - 1), "sweep": os.cpu_count()}
