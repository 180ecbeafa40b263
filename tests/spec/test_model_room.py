"""Models behind the dashboard: loaded once, a failure is kept until somebody asks again, threads keep their cores."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import ui.flow.model_pool
from audit_core.engine.threads import spare_a_core, use_all_cores
from audit_core.errors import ModelRefused, QueueFull
from audit_core.models import LINK, PAGE
from audit_core.store import was_opened
from audit_core.store.data_directory import audit_home
from ui.flow.model_pool import KEPT, MAX_WAITING, MAX_WAITING_EACH, NOT_ASKED_FOR, ModelPool


def wait(room: ModelPool, name: str) -> None:
    for _ in range(200):
        if room.look(name).has_failed:
            return
        time.sleep(0.02)
    raise AssertionError("it never failed")


def test_a_model_that_failed_is_not_loaded_again_until_a_user_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page opens its model at each run: it would load a broken one for ever, and never show why."""
    loads: list[str] = []

    def fail(name: str, **_: object) -> None:
        loads.append(name)
        raise ModelRefused("broken", wanted="a model", remedy="use another")

    monkeypatch.setattr(ui.flow.model_pool, "open_subject", fail)
    room = ModelPool()
    for _ in range(3):
        room.open("x")
        wait(room, "x")
    assert loads == ["x"]
    assert "broken" in room.look("x").detail
    room.retry("x")
    wait(room, "x")
    assert loads == ["x", "x"]


def test_a_thread_that_takes_all_cores_is_not_limited_by_one_that_left_some() -> None:
    import os

    import torch

    seen: dict[str, int] = {}
    mine = torch.get_num_threads()

    def run(name: str, prepare: object) -> None:
        prepare()  # type: ignore[operator]
        seen[name] = torch.get_num_threads()

    try:
        for name, prepare in (("live", spare_a_core), ("sweep", use_all_cores)):
            thread = threading.Thread(target=run, args=(name, prepare))
            thread.start()
            thread.join()
    finally:
        torch.set_num_threads(mine)
    assert seen == {"live": max(1, (os.cpu_count() or 1) - 1), "sweep": os.cpu_count()}


class Loader:
    """Stands where models are loaded: each load waits until it is let go, and says how far it is."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.under_way = 0
        self.most = 0
        self.access: dict[str, Any] = {}
        self.gate = threading.Event()
        self.models: list[weakref.ref[Any]] = []
        self.rooms: list[ModelPool] = []
        self._lock = threading.Lock()

    def make_room(self) -> ModelPool:
        self.rooms.append(ModelPool())
        return self.rooms[-1]

    def load(self, name: str, *, on_progress: Callable[[str, int, int], None], **options: Any) -> Any:
        with self._lock:
            self.begun.append(name)
            self.access[name] = options.get("access")
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        try:
            while not self.gate.wait(0.005):
                on_progress("download", 1, 2)
            if name.endswith("/broken"):
                raise ModelRefused("broken", wanted="a model", remedy="use another")
            model = Subject(name)
            self.models.append(weakref.ref(model))
            return model
        finally:
            with self._lock:
                self.under_way -= 1


class Subject:
    """A model that is one cycle, as torch's are: only the collector frees it."""

    def __init__(self, name: str) -> None:
        self.identity, self.me = SimpleNamespace(short=name), self


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loader]:
    found = Loader()
    monkeypatch.setattr(ui.flow.model_pool, "open_subject", found.load)
    monkeypatch.setattr(
        ui.flow.model_pool, "Auditor", lambda subject, log: SimpleNamespace(subject=subject, calibrate=lambda: None)
    )
    yield found
    found.gate.set()
    # A load that outlives its test would meet the next one's stand-ins.
    until(lambda: all(room.is_idle for room in found.rooms))


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_forty_names_asked_for_in_forty_sessions_are_loaded_one_at_a_time_and_most_are_refused(loader: Loader) -> None:
    room, refused = loader.make_room(), []
    for n in range(40):
        try:
            room.open(f"org/model-{n}", owner=f"session {n}")
        except QueueFull as error:
            refused.append(error)
    until(lambda: loader.under_way == 1)
    assert len(refused) == 40 - 1 - MAX_WAITING
    assert f"{MAX_WAITING} models are queued" in str(refused[0])
    assert "What to do" in str(refused[0])
    loader.gate.set()
    until(lambda: room.look(f"org/model-{MAX_WAITING}").is_ready)
    assert loader.begun == [f"org/model-{n}" for n in range(MAX_WAITING + 1)]
    assert loader.most == 1
    assert sum(room.auditor(name) is not None for name in loader.begun) == KEPT


def test_a_loaded_model_answers_before_it_is_timed(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timing takes the lock of the model, and a core, from the page that waited for it."""
    timers: list[tuple[float, Callable[[], None]]] = []
    timed: list[str] = []
    monkeypatch.setattr(ui.flow.model_pool, "_start_timer", lambda seconds, work: timers.append((seconds, work)))
    monkeypatch.setattr(
        ui.flow.model_pool,
        "Auditor",
        lambda subject, log: SimpleNamespace(subject=subject, calibrate=lambda: timed.append(subject.identity.short)),
    )
    room = loader.make_room()
    loader.gate.set()
    for name in ("org/first", "org/second", "org/third"):
        room.open(name)
        until(lambda name=name: room.look(name).is_ready and room.is_idle)
    assert timed == []
    assert all(seconds > 0 for seconds, _ in timers)
    for _, work in timers:
        work()
    assert timed == ["org/second", "org/third"], "the first was dropped for the third"


def test_one_person_cannot_fill_the_queue(loader: Loader) -> None:
    room = loader.make_room()
    for n in range(1 + MAX_WAITING_EACH):
        room.open(f"org/a{n}", owner="a")
    with pytest.raises(QueueFull, match="that you requested"):
        room.open("org/one-more", owner="a")
    assert room.open("org/b", owner="b").stage == "queued"
    assert "before it" in room.look("org/b").detail


def test_the_same_name_asked_for_twice_is_one_load(loader: Loader) -> None:
    room = loader.make_room()
    for owner in ("a", "b", "a"):
        room.open("org/model", owner=owner)
    loader.gate.set()
    until(lambda: room.look("org/model").is_ready)
    room.open("org/model", owner="c")
    assert loader.begun == ["org/model"]


def test_a_cancelled_load_frees_its_turn_and_leaves_nothing_behind(loader: Loader) -> None:
    room = loader.make_room()
    room.open("org/first", owner="a")
    room.open("org/second", owner="b")
    until(lambda: loader.begun == ["org/first"])
    room.cancel("org/first", owner="b")
    assert room.look("org/first").is_under_way, "only who waits for it may cancel it"
    room.cancel("org/first", owner="a")
    until(lambda: loader.begun == ["org/first", "org/second"])
    assert room.look("org/first").stage == NOT_ASKED_FOR
    loader.gate.set()
    until(lambda: room.look("org/second").is_ready)
    assert room.auditor("org/first") is None
    assert not was_opened(audit_home(), "org/first")
    assert was_opened(audit_home(), "org/second")


def test_a_load_that_cannot_be_stopped_half_way_is_thrown_away_at_its_end(
    loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = loader.make_room()
    begun = threading.Event()

    def load(name: str, **_: Any) -> Any:
        begun.set()
        loader.gate.wait(5)
        model = Subject(name)
        loader.models.append(weakref.ref(model))
        return model

    monkeypatch.setattr(ui.flow.model_pool, "open_subject", load)
    room.open("org/model", owner="a")
    assert begun.wait(5)
    room.cancel("org/model", owner="a")
    assert room.look("org/model").stage == "cancelling"
    loader.gate.set()
    until(lambda: room.look("org/model").stage == NOT_ASKED_FOR)
    gc.collect()
    until(lambda: loader.models[0]() is None)


def test_a_model_that_waits_is_cancelled_at_once_and_one_that_others_want_goes_on(loader: Loader) -> None:
    room = loader.make_room()
    for name, owner in (("org/now", "a"), ("org/later", "a"), ("org/shared", "a"), ("org/shared", "b")):
        room.open(name, owner=owner)
    room.cancel("org/later", owner="a")
    assert room.look("org/later").stage == NOT_ASKED_FOR
    room.cancel("org/shared", owner="a")
    assert room.look("org/shared").stage == "queued"
    loader.gate.set()
    until(lambda: room.look("org/shared").is_ready)
    assert loader.begun == ["org/now", "org/shared"]


def test_what_was_cancelled_can_be_asked_for_again_at_any_moment(loader: Loader) -> None:
    room = loader.make_room()
    for _ in range(20):
        room.open("org/model", owner="a")
        room.cancel("org/model", owner="a")
    room.open("org/model", owner="a")
    loader.gate.set()
    until(lambda: room.look("org/model").is_ready)
    assert loader.most == 1


def test_the_load_that_the_server_begins_with_cannot_be_cancelled(loader: Loader) -> None:
    room = loader.make_room()
    room.open("default")
    room.open("default", owner="a")
    room.cancel("default", owner="a")
    loader.gate.set()
    until(lambda: room.look("default").is_ready)


def test_a_load_that_fails_frees_its_turn(loader: Loader) -> None:
    room = loader.make_room()
    room.open("org/broken", owner="a")
    room.open("org/next", owner="a")
    loader.gate.set()
    until(lambda: room.look("org/next").is_ready)
    assert room.look("org/broken").has_failed
    assert not was_opened(audit_home(), "org/broken")


def test_failures_are_remembered_and_not_without_bound(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui.flow.model_pool, "FAILURES_KEPT", 3)
    room = loader.make_room()
    loader.gate.set()
    for n in range(5):
        room.open(f"org{n}/broken", owner="a")
        until(lambda n=n: room.look(f"org{n}/broken").has_failed)
    assert room.look("org0/broken").stage == NOT_ASKED_FOR
    assert room.look("org4/broken").has_failed


def test_a_page_that_opens_by_itself_may_do_less_than_one_on_which_a_person_pressed(loader: Loader) -> None:
    room = loader.make_room()
    loader.gate.set()
    for name, access in (("org/linked", LINK), ("org/pressed", PAGE), ("default", LINK), ("planted-strict", LINK)):
        room.open(name, owner="a", access=access)
        until(lambda name=name: room.look(name).is_ready)
    assert loader.access == {"org/linked": LINK, "org/pressed": PAGE, "default": None, "planted-strict": None}
    assert LINK.is_cached_only
    assert PAGE.token is LINK.token is None


def test_what_a_failed_load_left_is_collected(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    room, left = loader.make_room(), []

    def load(name: str, **_: Any) -> Any:
        model = Subject(name)
        # Moves it to the oldest generation, where a whole collection alone finds it.
        gc.collect()
        left.append(weakref.ref(model))
        raise ModelRefused("a folder.", wanted="another one.", remedy="choose it.")

    monkeypatch.setattr(ui.flow.model_pool, "open_subject", load)
    room.open("org/model", owner="a")
    until(lambda: room.look("org/model").has_failed)
    until(lambda: left[0]() is None)
