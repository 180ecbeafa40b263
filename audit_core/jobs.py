"""Background jobs with progress, predicted time and cancellation, scheduled fairly per owner; independent of the UI."""

from __future__ import annotations

import threading
import time
import traceback
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from audit_core.errors import AuditError, Cancelled, QueueFull

MAX_WAITING = 200
"""Maximum queued jobs of all owners together."""
MAX_WAITING_EACH = 24
"""Maximum queued jobs of one owner: twice the number of questions on the circuit page."""
_SERVED_KEPT = 1000


class JobState(StrEnum):
    """State of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Snapshot:
    """State of a job at one moment, as one owner sees it."""

    id: str
    title: str
    state: JobState
    done: int = 0
    total: int = 0
    started_s: float = 0.0
    """Seconds, monotonic clock."""
    now_s: float = 0.0
    predicted_s: float | None = None
    """Predicted total seconds, from measured throughput; None until known."""
    partial: Any = None
    """Intermediate result of a running job; None until there is one."""
    result: Any = None
    error: str = ""

    @property
    def is_active(self) -> bool:
        return self.state in (JobState.QUEUED, JobState.RUNNING)

    @property
    def fraction(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def remaining_s(self) -> float | None:
        """Seconds left: from this job's own pace once it has one, else from the prediction."""
        elapsed = self.now_s - self.started_s
        if self.state is JobState.RUNNING and self.fraction > 0.05:
            return elapsed * (1 - self.fraction) / self.fraction
        return None if self.predicted_s is None else max(0.0, self.predicted_s - elapsed)


@dataclass(frozen=True)
class Report:
    """Progress callback: called with units done and total units; raises `Cancelled` once all owners have cancelled."""

    step: Callable[[int, int], None]
    show: Callable[[Any], None]
    """Receives an intermediate result, a frozen value."""

    def __call__(self, done: int, total: int) -> None:
        self.step(done, total)


Work = Callable[[Report], Any]
"""Receives the progress callback; returns a frozen result."""


class JobManager:
    """Runs one job at a time; jobs with equal keys are computed once.

    A job belongs to all owners who submitted it and is cancelled when the last of them cancels. Scheduling is round-robin
    over owners, however many jobs each has queued.
    """

    def __init__(self, *, workers: int = 1, keep: int = 64) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="assay-job")
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Snapshot] = OrderedDict()
        self._owners: dict[str, dict[str, bool]] = {}
        """Per job, its owners; False for those who cancelled."""
        self._stop: dict[str, threading.Event] = {}
        self._by_key: dict[str, str] = {}
        self._drops: dict[str, Callable[[], None]] = {}
        """Per queued job, the callback if it is dropped."""
        self._work: dict[str, Work] = {}
        """Per queued job, its work."""
        self._waiting: dict[str, deque[str]] = {}
        """Per owner, queued jobs, oldest first; shared jobs are in the queue of each owner."""
        self._served: OrderedDict[str, None] = OrderedDict()
        """Owners by last turn, least recent first."""
        self._keep = keep

    def submit(
        self,
        key: str,
        title: str,
        work: Work,
        *,
        owner: str,
        predicted_s: float | None = None,
        on_drop: Callable[[], None] | None = None,
    ) -> str:
        """Queue work, or join an equal job that is queued, running or done; returns the job's id.

        Args:
            on_drop: called instead of the work if all owners cancel before it begins.

        Raises:
            QueueFull: this owner, or all owners together, have the maximum of queued jobs.
        """
        with self._lock:
            known = self._jobs.get(self._by_key.get(key, ""))
            if (
                known is not None
                and (known.is_active or known.state is JobState.DONE)
                and not self._stop[known.id].is_set()
            ):
                self._owners[known.id][owner] = True
                if known.id in self._work and known.id not in self._waiting.get(owner, ()):
                    # The new owner's turn may come before that of the first owner.
                    self._waiting.setdefault(owner, deque()).append(known.id)
                return known.id
            self._require_room(owner)
            job = uuid.uuid4().hex
            self._jobs[job] = Snapshot(job, title, JobState.QUEUED, started_s=time.monotonic(), predicted_s=predicted_s)
            self._owners[job], self._stop[job], self._by_key[key] = {owner: True}, threading.Event(), job
            if on_drop is not None:
                self._drops[job] = on_drop
            self._work[job] = work
            self._waiting.setdefault(owner, deque()).append(job)
            self._drop_old()
        self._pool.submit(self._run_next)
        return job

    def get(self, job: str | None, *, owner: str) -> Snapshot | None:
        """State of a job; None if unknown, forgotten or another owner's; CANCELLED for owners who cancelled it."""
        with self._lock:
            if job is None or owner not in self._owners.get(job, ()):
                return None
            seen = replace(self._jobs[job], now_s=time.monotonic())
            return seen if self._owners[job][owner] else replace(seen, state=JobState.CANCELLED, result=None)

    def cancel(self, job: str, *, owner: str) -> None:
        """Cancel for one owner; the work stops at its next chunk once all owners have cancelled."""
        with self._lock:
            owners = self._owners.get(job, {})
            if owner not in owners or not self._jobs[job].is_active:
                return
            owners[owner] = False
            if job in self._work:
                self._leave_queue(owner, job)
            if any(owners.values()):
                return
            self._stop[job].set()
            work = self._work.pop(job, None)
        if work is not None:
            # A queued job is dropped at once, so that it does not occupy the queue until its turn.
            self._run(job, work)

    def shut_down(self) -> None:
        with self._lock:
            for event in self._stop.values():
                event.set()
        # Queued jobs are still run: a stopped job only reports that it was dropped.
        self._pool.shutdown(wait=True)

    def _require_room(self, owner: str) -> None:
        own, total = len(self._waiting.get(owner, ())), len(self._work)
        if own >= MAX_WAITING_EACH:
            raise QueueFull(
                f"{own} of your runs are queued.", wanted=f"at most {MAX_WAITING_EACH} per person.",
                remedy="wait until one of them begins, or cancel one.",
            )  # fmt: skip
        if total >= MAX_WAITING:
            raise QueueFull(
                f"{total} runs of all users are queued.", wanted=f"at most {MAX_WAITING}.",
                remedy="try again later; runs are scheduled in turn per person.",
            )  # fmt: skip

    def _leave_queue(self, owner: str, job: str) -> None:
        queue = self._waiting.get(owner)
        if queue is None:
            return
        if job in queue:
            queue.remove(job)
        if not queue:
            del self._waiting[owner]

    def _take_next(self) -> tuple[str, Work] | None:
        """Oldest job of the owner with the least recent turn; owners without a turn come first."""
        with self._lock:
            if not self._waiting:
                return None
            rank = {owner: n for n, owner in enumerate(self._served)}
            owner = min(self._waiting, key=lambda one: rank.get(one, -1))
            self._served[owner] = None
            self._served.move_to_end(owner)
            while len(self._served) > _SERVED_KEPT:
                self._served.popitem(last=False)
            job = self._waiting[owner][0]
            for one in self._owners[job]:
                self._leave_queue(one, job)
            return job, self._work.pop(job)

    def _run_next(self) -> None:
        # One call per queued job; the call of a cancelled job finds no work.
        found = self._take_next()
        if found is not None:
            self._run(*found)

    def _drop_old(self) -> None:
        finished = [job for job, snapshot in self._jobs.items() if not snapshot.is_active]
        for job in finished[: max(0, len(self._jobs) - self._keep)]:
            for table in (self._jobs, self._owners, self._stop):
                table.pop(job, None)
            self._by_key = {k: v for k, v in self._by_key.items() if v != job}

    def _run(self, job: str, work: Work) -> None:
        stop = self._stop[job]

        def progress(done: int, total: int) -> None:
            if stop.is_set():
                raise Cancelled("cancelled by the person who started it")
            self._update(job, done=done, total=total)

        on_drop = self._drops.pop(job, None)
        try:
            if stop.is_set():
                if on_drop is not None:
                    on_drop()
                raise Cancelled("cancelled before it began")
            self._update(job, state=JobState.RUNNING, started_s=time.monotonic())
            result = work(Report(progress, lambda partial: self._update(job, partial=partial)))
        except Cancelled:
            self._update(job, state=JobState.CANCELLED)
        except AuditError as error:
            self._update(job, state=JobState.FAILED, error=str(error))
        except BaseException as error:
            # The worker must survive a defect, and the user must see it: reported as a failure.
            traceback.print_exc()
            self._update(job, state=JobState.FAILED, error=f"Defect: {type(error).__name__}: {error}")
            if not isinstance(error, Exception):
                raise
        else:
            self._update(job, state=JobState.DONE, result=result)

    def _update(self, job: str, **changes: Any) -> None:
        with self._lock:
            if job in self._jobs:
                self._jobs[job] = replace(self._jobs[job], **changes)
