"""Jobs: progress, cancel, sharing, and failures that are seen and never become results."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from audit_core.errors import NotMeasured, QueueFull
from audit_core.jobs import MAX_WAITING, MAX_WAITING_EACH, JobManager, JobState, Snapshot


@pytest.fixture
def jobs() -> Iterator[JobManager]:
    manager = JobManager()
    yield manager
    manager.shut_down()


def wait(jobs: JobManager, job: str, owner: str = "a") -> Snapshot:
    for _ in range(500):
        seen = jobs.get(job, owner=owner)
        if seen is not None and not seen.is_active:
            return seen
        time.sleep(0.01)
    raise AssertionError("the job never ended")


def steps(gate: threading.Event) -> Callable[[Callable[[int, int], None]], str]:
    def work(progress: Callable[[int, int], None]) -> str:
        for done in range(100):
            progress(done, 100)
            gate.wait(5)
        return "done"

    return work


def test_a_finished_job_has_its_result(jobs: JobManager) -> None:
    seen = wait(jobs, jobs.submit("k", "t", lambda progress: 42, owner="a"))
    assert (seen.state, seen.result, seen.error) == (JobState.DONE, 42, "")


def test_progress_is_seen_while_work_goes_on(jobs: JobManager) -> None:
    started, gate = threading.Event(), threading.Event()

    def work(progress: Callable[[int, int], None]) -> str:
        progress(25, 100)
        started.set()
        gate.wait(5)
        return "done"

    job = jobs.submit("k", "a title", work, owner="a", predicted_s=8.0)
    assert started.wait(5)
    seen = jobs.get(job, owner="a")
    assert seen is not None
    assert (seen.state, seen.fraction, seen.title, seen.result) == (JobState.RUNNING, 0.25, "a title", None)
    # A quarter took some time: three times as much is left, whatever was predicted.
    assert seen.remaining_s == pytest.approx(3 * (seen.now_s - seen.started_s))
    gate.set()
    assert wait(jobs, job).result == "done"


def test_before_the_first_twentieth_the_prediction_says_what_is_left() -> None:
    early = Snapshot("j", "t", JobState.RUNNING, 1, 100, started_s=10.0, now_s=12.0, predicted_s=8.0)
    assert early.remaining_s == 6.0
    assert replace(early, predicted_s=None).remaining_s is None
    assert replace(early, now_s=30.0).remaining_s == 0.0
    assert replace(early, total=0).fraction == 0.0


def test_cancel_stops_at_the_next_chunk_and_the_user_who_cancelled_sees_it(jobs: JobManager) -> None:
    gate, chunks = threading.Event(), []

    def work(progress: Callable[[int, int], None]) -> str:
        for done in range(100):
            progress(done, 100)
            chunks.append(done)
            gate.wait(5)
        return "done"

    job = jobs.submit("k", "t", work, owner="a")
    while not chunks:
        time.sleep(0.005)
    jobs.cancel(job, owner="a")
    seen = jobs.get(job, owner="a")
    assert seen is not None
    assert (seen.state, seen.result) == (JobState.CANCELLED, None)
    gate.set()
    assert wait(jobs, jobs.submit("next", "t", lambda progress: 1, owner="a")).result == 1
    assert len(chunks) == 1
    seen = jobs.get(job, owner="a")
    assert seen is not None
    assert (seen.state, seen.result) == (JobState.CANCELLED, None)


def test_a_job_cancelled_while_it_waits_is_never_begun(jobs: JobManager) -> None:
    gate, begun = threading.Event(), []
    first = jobs.submit("first", "t", lambda progress: gate.wait(5), owner="a")
    second = jobs.submit("second", "t", lambda progress: begun.append(1), owner="a")
    jobs.cancel(second, owner="a")
    gate.set()
    assert wait(jobs, first).state is JobState.DONE
    assert wait(jobs, jobs.submit("third", "t", lambda progress: 3, owner="a")).result == 3
    assert begun == []


def test_cancelled_work_can_be_asked_for_again(jobs: JobManager) -> None:
    gate = threading.Event()
    job = jobs.submit("k", "t", steps(gate), owner="a")
    jobs.cancel(job, owner="a")
    gate.set()
    again = jobs.submit("k", "t", steps(gate), owner="a")
    assert again != job
    assert wait(jobs, again).result == "done"


def test_cancelling_what_is_done_takes_nothing_away(jobs: JobManager) -> None:
    job = jobs.submit("k", "t", lambda progress: 42, owner="a")
    assert wait(jobs, job).result == 42
    jobs.cancel(job, owner="a")
    seen = jobs.get(job, owner="a")
    assert seen is not None
    assert (seen.state, seen.result) == (JobState.DONE, 42)
    assert jobs.submit("k", "t", lambda progress: 43, owner="a") == job


def test_one_who_left_shared_work_and_comes_back_has_it_again(jobs: JobManager) -> None:
    gate = threading.Event()
    job = jobs.submit("k", "t", steps(gate), owner="a")
    jobs.submit("k", "t", steps(gate), owner="b")
    jobs.cancel(job, owner="a")
    left = jobs.get(job, owner="a")
    assert left is not None
    assert left.state is JobState.CANCELLED
    assert jobs.submit("k", "t", steps(gate), owner="a") == job
    jobs.cancel(job, owner="b")
    gate.set()
    assert wait(jobs, job, owner="a").result == "done"


def test_old_jobs_are_forgotten_and_running_ones_are_not() -> None:
    jobs, gate = JobManager(keep=3), threading.Event()
    done = [jobs.submit(f"k{n}", "t", lambda progress: 1, owner="a") for n in range(3)]
    for job in done:
        wait(jobs, job)
    running = [jobs.submit(f"r{n}", "t", lambda progress: gate.wait(5), owner="a") for n in range(3)]
    assert [jobs.get(job, owner="a") for job in done] == [None] * 3
    assert all(jobs.get(job, owner="a") is not None for job in running)
    gate.set()
    jobs.shut_down()


def test_equal_work_is_shared_and_one_who_leaves_does_not_stop_the_other(jobs: JobManager) -> None:
    gate = threading.Event()
    first = jobs.submit("k", "t", steps(gate), owner="a")
    assert jobs.submit("k", "t", steps(gate), owner="b") == first
    jobs.cancel(first, owner="a")
    gate.set()
    assert wait(jobs, first, owner="b").result == "done"


def test_no_one_sees_or_cancels_the_job_of_another_user(jobs: JobManager) -> None:
    gate = threading.Event()
    job = jobs.submit("k", "t", steps(gate), owner="a")
    assert jobs.get(job, owner="b") is None
    jobs.cancel(job, owner="b")
    jobs.cancel("no such job", owner="b")
    assert jobs.get(None, owner="a") is None
    gate.set()
    assert wait(jobs, job).state is JobState.DONE


def test_a_failure_is_shown_as_one_and_the_worker_lives_on(jobs: JobManager) -> None:
    def refuse(progress: object) -> None:
        raise NotMeasured("control_failed", "the hook is dead")

    def break_down(progress: object) -> None:
        raise ZeroDivisionError("a defect")

    def leave(progress: object) -> None:
        raise SystemExit(1)

    for work, says in ((refuse, "the hook is dead"), (break_down, "ZeroDivisionError"), (leave, "SystemExit")):
        seen = wait(jobs, jobs.submit(says, "t", work, owner="a"))
        assert (seen.state, seen.result) == (JobState.FAILED, None)
        assert says in seen.error
        assert seen.error.startswith("Defect: ") is (work is not refuse)
    assert wait(jobs, jobs.submit("after", "t", lambda progress: 1, owner="a")).result == 1


def test_failed_work_can_be_asked_for_again(jobs: JobManager) -> None:
    answers = iter([NotMeasured("control_failed", "x"), None])

    def work(progress: object) -> int:
        if (problem := next(answers)) is not None:
            raise problem
        return 7

    assert wait(jobs, jobs.submit("k", "t", work, owner="a")).state is JobState.FAILED
    assert wait(jobs, jobs.submit("k", "t", work, owner="a")).result == 7


@pytest.fixture
def held(jobs: JobManager) -> Iterator[threading.Event]:
    """The one worker is busy with a job of owner `z` until the event is set."""
    gate, begun = threading.Event(), threading.Event()

    def work(progress: object) -> None:
        begun.set()
        gate.wait(20)

    jobs.submit("held", "t", work, owner="z")
    assert begun.wait(5)
    yield gate
    gate.set()


def queue(jobs: JobManager, order: list[str], owner: str, *names: str) -> list[str]:
    return [jobs.submit(name, "t", lambda progress, name=name: order.append(name), owner=owner) for name in names]


def test_owners_take_turns_however_many_jobs_one_of_them_queued(jobs: JobManager, held: threading.Event) -> None:
    order: list[str] = []
    last = queue(jobs, order, "a", "a1", "a2", "a3", "a4")[-1]
    queue(jobs, order, "b", "b1", "b2")
    queue(jobs, order, "c", "c1")
    held.set()
    wait(jobs, last, "a")
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_one_who_comes_late_is_served_before_the_next_of_one_who_was_served(
    jobs: JobManager, held: threading.Event
) -> None:
    order: list[str] = []
    last = queue(jobs, order, "z", "z1", "z2")[-1]
    queue(jobs, order, "late", "l1")
    held.set()
    wait(jobs, last, "z")
    assert order == ["l1", "z1", "z2"], "owner z had the turn that is under way"


def test_one_owner_cannot_queue_more_than_their_share_and_sees_how_many_wait(
    jobs: JobManager, held: threading.Event
) -> None:
    order: list[str] = []
    queue(jobs, order, "a", *(f"a{n}" for n in range(MAX_WAITING_EACH)))
    with pytest.raises(QueueFull, match=f"{MAX_WAITING_EACH} of your runs are queued.*cancel one"):
        queue(jobs, order, "a", "one more")
    queue(jobs, order, "b", "b1")
    assert jobs.submit("a0", "t", lambda progress: None, owner="a"), "what waits already is joined, not refused"


def test_all_owners_together_cannot_queue_without_bound(jobs: JobManager, held: threading.Event) -> None:
    order: list[str] = []
    for n in range(MAX_WAITING):
        queue(jobs, order, f"owner {n // MAX_WAITING_EACH}", f"k{n}")
    with pytest.raises(QueueFull, match=f"{MAX_WAITING} runs of all users"):
        queue(jobs, order, "a newcomer", "one more")


def test_cancelling_what_waits_makes_room_at_once_and_says_that_it_was_dropped(
    jobs: JobManager, held: threading.Event
) -> None:
    dropped: list[str] = []
    for n in range(MAX_WAITING_EACH * 3):
        job = jobs.submit(f"k{n}", "t", lambda progress: None, owner="a", on_drop=lambda: dropped.append("x"))
        jobs.cancel(job, owner="a")
        seen = jobs.get(job, owner="a")
        assert seen is not None
        assert seen.state is JobState.CANCELLED
    assert len(dropped) == MAX_WAITING_EACH * 3


def test_shared_work_runs_once_at_the_first_of_its_owners_turns(jobs: JobManager, held: threading.Event) -> None:
    order: list[str] = []
    last = queue(jobs, order, "a", "a1", "shared", "a2")[-1]
    shared = queue(jobs, order, "b", "shared")[0]
    jobs.cancel(shared, owner="a")
    held.set()
    wait(jobs, last, "a")
    assert wait(jobs, shared, "b").state is JobState.DONE
    assert order == ["a1", "shared", "a2"]


def test_work_that_one_owner_left_and_joined_again_waits_once(jobs: JobManager, held: threading.Event) -> None:
    order: list[str] = []
    shared = queue(jobs, order, "a", "shared")[0]
    queue(jobs, order, "b", "shared")
    jobs.cancel(shared, owner="a")
    assert queue(jobs, order, "a", "shared") == [shared]
    jobs.cancel(shared, owner="a")
    jobs.cancel(shared, owner="b")
    last = queue(jobs, order, "a", "last")[0]
    held.set()
    wait(jobs, last, "a")
    assert order == ["last"]
