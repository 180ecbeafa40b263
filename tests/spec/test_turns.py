"""Turns come in order, come to everybody, and are not lost by those who give up."""

import threading
import time

import pytest

from audit_core.store.database.fair_lock import FairLock


def wait_until(holds: object, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.001)


def test_turns_come_in_the_order_of_asking_and_one_at_a_time() -> None:
    turns, order = FairLock(), []
    assert turns.acquire(0)

    def go(number: int) -> None:
        assert turns.acquire(20)
        order.append(number)
        turns.release()

    threads = []
    for number in range(8):
        threads.append(threading.Thread(target=go, args=(number,)))
        threads[-1].start()
        wait_until(lambda wanted=number + 2: len(turns._queue) == wanted)
    assert order == []
    turns.release()
    for thread in threads:
        thread.join(20)
    assert order == list(range(8))
    assert turns.acquire(0)


def test_a_thread_that_asks_again_at_once_waits_behind_the_others() -> None:
    """What a plain lock does not give: the one that lets go and takes again would have it every time."""
    turns, order = FairLock(), []
    assert turns.acquire(0)

    def go() -> None:
        assert turns.acquire(20)
        order.append("waited")
        turns.release()

    thread = threading.Thread(target=go)
    thread.start()
    wait_until(lambda: len(turns._queue) == 2)
    turns.release()
    assert turns.acquire(20)
    order.append("again")
    turns.release()
    thread.join(20)
    assert order == ["waited", "again"]


@pytest.mark.parametrize("wait_s", [0.0, 0.05])
def test_a_thread_that_gives_up_leaves_the_queue(wait_s: float) -> None:
    turns = FairLock()
    assert turns.acquire(0)
    assert not turns.acquire(wait_s)
    turns.release()
    assert turns.acquire(0)
    turns.release()


def test_no_turn_is_lost_while_many_give_up() -> None:
    """Some give up in the very moment in which their turn comes; afterwards it is still there to be taken."""
    turns, taken = FairLock(), []

    def go(number: int) -> None:
        for step in range(200):
            if turns.acquire(0.0001 * (number % 3)):
                taken.append(step)
                turns.release()

    threads = [threading.Thread(target=go, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert taken
    assert turns.acquire(0)
