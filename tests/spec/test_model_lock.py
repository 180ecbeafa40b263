"""The model lock: a live answer's blocks run before the next block of a sweep, which still goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from audit_core.engine import threads
from audit_core.engine.threads import ModelLock

LONG_S = 60.0
"""Longer than any test waits: what waits that long hangs."""


class Sweep:
    """Other work, block after block."""

    def __init__(self, lock: ModelLock) -> None:
        self.lock, self.blocks, self.stop = lock, 0, threading.Event()
        self.more = threading.Condition()

    def run(self) -> None:
        while not self.stop.is_set():
            with self.lock, self.more:
                self.blocks += 1
                self.more.notify_all()

    def goes_on(self) -> bool:
        """Whether it runs two more blocks; the first of them may have had the lock already."""
        with self.more:
            seen = self.blocks
            return self.more.wait_for(lambda: self.blocks > seen + 1, 10)


@contextmanager
def swept(lock: ModelLock) -> Iterator[Sweep]:
    sweep = Sweep(lock)
    thread = threading.Thread(target=sweep.run)
    thread.start()
    try:
        assert sweep.goes_on()
        yield sweep
    finally:
        sweep.stop.set()
        thread.join(10)


def run_blocks(lock: ModelLock, sweep: Sweep) -> list[int]:
    """Blocks of an answer, with time between them for others; returns how many the sweep had run at each."""
    seen = []
    for _ in range(20):
        with lock:
            seen.append(sweep.blocks)
        time.sleep(0.001)
    return seen


@pytest.fixture(autouse=True)
def no_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PATIENCE_S", LONG_S)


def test_no_block_of_a_sweep_runs_between_the_blocks_of_a_live_answer() -> None:
    lock = ModelLock()
    with swept(lock) as sweep:
        with lock.prioritise():
            seen = run_blocks(lock, sweep)
        # One block may have passed the wait before the answer began.
        assert seen[-1] - seen[0] <= 1
        assert sweep.goes_on()


def test_without_priority_they_take_turns() -> None:
    """The control: the same blocks, and the sweep runs among them; before an answer and after it."""
    lock = ModelLock()
    with swept(lock) as sweep:
        seen = run_blocks(lock, sweep)
        assert seen[-1] - seen[0] > 1
        with lock.prioritise():
            pass
        seen = run_blocks(lock, sweep)
        assert seen[-1] - seen[0] > 1


def test_a_thread_whose_answer_has_ended_waits_for_others() -> None:
    lock, is_open, has_ended = ModelLock(), threading.Event(), threading.Event()
    with lock.prioritise():
        pass

    def answer() -> None:
        with lock.prioritise():
            is_open.set()
            time.sleep(0.05)
            has_ended.set()

    thread = threading.Thread(target=answer)
    thread.start()
    assert is_open.wait(10)
    with lock:
        assert has_ended.is_set()
    thread.join(10)


def test_a_sweep_goes_on_beside_answers_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PATIENCE_S", 0.001)
    lock = ModelLock()
    with swept(lock) as sweep, lock.prioritise():
        assert sweep.goes_on()


def test_a_thread_that_has_the_lock_takes_it_again_without_waiting() -> None:
    """Its outer block would keep the answer waiting, while it waits for the answer."""
    lock, has_it, is_wanted, inner = ModelLock(), threading.Event(), threading.Event(), threading.Event()

    def nest() -> None:
        with lock:
            has_it.set()
            is_wanted.wait(10)
            with lock:
                inner.set()

    thread = threading.Thread(target=nest)
    thread.start()
    assert has_it.wait(10)
    with lock.prioritise():
        is_wanted.set()
        assert inner.wait(10)
        with lock:
            pass
    thread.join(10)


def test_an_answer_that_fails_leaves_the_lock_to_the_others() -> None:
    lock = ModelLock()
    with swept(lock) as sweep:
        with pytest.raises(ValueError, match="broken"), lock.prioritise(), lock:
            raise ValueError("broken")
        assert sweep.goes_on()


def test_the_pool_of_models_answers_first() -> None:
    """The page's own way to a live answer, with the one lock of all models."""
    pytest.importorskip("streamlit")
    from ui.flow.model_pool import ModelPool

    pool = ModelPool()
    # The first one imports torch, which takes long beside a thread that never rests.
    pool.answer(bool)
    with swept(threads.MODEL_LOCK) as sweep:
        seen = pool.answer(lambda: run_blocks(threads.MODEL_LOCK, sweep))
        assert seen[-1] - seen[0] <= 1
        assert sweep.goes_on()
