"""Pool of models for all sessions: queue, background loading one at a time, and cache; without user interface."""

from __future__ import annotations

import gc
import threading
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from audit_core import AuditError, Auditor, Cancelled, RunLog, audit_home, open_subject
from audit_core.engine import prioritise, spare_a_core, use_all_cores
from audit_core.errors import QueueFull
from audit_core.models import PAGE, ModelAccess, ModelOrigin, find_origin
from audit_core.registry import import_plugins
from audit_core.store import note_opened
from audit_core.subject_family import find_listed

KEPT = 2
"""Maximum number of models in memory; the default model takes 0.6 GB."""
MAX_WAITING = 4
"""Maximum number of queued models."""
MAX_WAITING_EACH = 2
"""Maximum number of queued models of one owner."""
FAILURES_KEPT = 64
"""Maximum number of remembered failures."""
CALIBRATE_AFTER_S = 5.0
"""Seconds from a loaded model to the timing of this machine: the page that waited for the model answers first."""
SERVER = ""
"""Owner of the load at server start; no user can cancel it."""


AnswerT = TypeVar("AnswerT")


@contextmanager
def _without_collector() -> Iterator[None]:
    """Pause garbage collection, then freeze: importing torch makes a million permanent objects that need no collection.

    What a failed load made is not frozen: `_sweep` collects it, without going through what was frozen before.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _sweep() -> None:
    """Collect the objects of a failed load, and freeze what it imported."""
    gc.collect()
    gc.freeze()


def _start_timer(seconds: float, work: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()


@dataclass(frozen=True)
class ModelStatus:
    """Loading state of a model."""

    name: str
    stage: str
    """"queued", "starting", fetch stage, "loading", "cancelling", "ready" or "failed"."""
    done: int = 0
    total: int = 0
    detail: str = ""

    @property
    def is_ready(self) -> bool:
        return self.stage == "ready"

    @property
    def has_failed(self) -> bool:
        return self.stage == "failed"

    @property
    def is_under_way(self) -> bool:
        return self.stage not in ("ready", "failed", NOT_ASKED_FOR)


NOT_ASKED_FOR = "not asked for"


@dataclass(eq=False)
class _Load:
    """One load from its place in the queue to its end."""

    name: str
    access: ModelAccess
    owner: str
    """Owner of the first request."""
    wanted_by: set[str] = field(default_factory=set)
    is_over: bool = False
    """Whether it has stopped or ended, so that no request can join it."""


class ModelPool:
    """Loads each model once for all sessions, one at a time because concurrent loads need the memory of both."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, ModelStatus] = {}
        self._auditors: OrderedDict[str, Auditor] = OrderedDict()
        self._loads: dict[str, _Load] = {}
        """Queued and running loads by model name."""
        self._waiting: deque[_Load] = deque()
        self._current: _Load | None = None
        self._desk = ThreadPoolExecutor(1, "assay-live", initializer=spare_a_core)

    def answer(self, work: Callable[[], AnswerT]) -> AnswerT:
        """Run work that takes under a second with a model, before the next block of a sweep, and wait for it."""

        def work_first() -> AnswerT:
            with prioritise():
                return work()

        return self._desk.submit(work_first).result()

    def open(self, name: str, *, owner: str = SERVER, access: ModelAccess = PAGE) -> ModelStatus:
        """Start loading unless a load is running, done or failed; a failure is not retried at each rerun of a page.

        Args:
            owner: session that requests the model, and may cancel.

        Raises:
            QueueFull: the queue of this owner, or of all owners, is full.
        """
        with self._lock:
            load = self._loads.get(name)
            if load is not None and not load.is_over:
                # Also joins a load that was cancelled but has not stopped yet.
                load.wanted_by.add(owner)
                if self._seen[name].stage == "cancelling":
                    self._seen[name] = ModelStatus(name, "loading")
                return self._seen[name]
            if load is None and (seen := self._seen.get(name)) is not None:
                return seen
            self._require_room(owner)
            load = _Load(name, access, owner, {owner})
            self._loads[name], self._seen[name] = load, ModelStatus(name, "queued")
            self._waiting.append(load)
            self._start_next()
            return self._seen[name]

    def retry(self, name: str, *, owner: str = SERVER, access: ModelAccess = PAGE) -> ModelStatus:
        """Retry a failed load."""
        with self._lock:
            if name in self._seen and self._seen[name].has_failed:
                del self._seen[name]
        return self.open(name, owner=owner, access=access)

    def cancel(self, name: str, *, owner: str) -> None:
        """Withdraw an owner's request; the load stops at its next step when no request is left."""
        with self._lock:
            load = self._loads.get(name)
            if load is None:
                return
            load.wanted_by.discard(owner)
            if load.wanted_by:
                return
            if load in self._waiting:
                self._waiting.remove(load)
                self._drop(load)
            else:
                self._seen[name] = ModelStatus(name, "cancelling")

    def look(self, name: str) -> ModelStatus:
        with self._lock:
            seen = self._seen.get(name, ModelStatus(name, NOT_ASKED_FOR))
            if seen.stage != "queued":
                return seen
            ahead = [load.name for load in self._waiting].index(name) + (self._current is not None)
            return ModelStatus(name, "queued", detail=f"{ahead} before it")

    @property
    def is_idle(self) -> bool:
        """Whether no model is loading or queued."""
        with self._lock:
            return self._current is None

    def auditor(self, name: str) -> Auditor | None:
        """The loaded model, or None."""
        with self._lock:
            if name in self._auditors:
                self._auditors.move_to_end(name)
            return self._auditors.get(name)

    def _require_room(self, owner: str) -> None:
        mine = sum(load.owner == owner for load in self._waiting)
        if mine >= MAX_WAITING_EACH:
            raise QueueFull(
                f"{mine} models that you requested are queued.", wanted=f"at most {MAX_WAITING_EACH} of one person.",
                remedy="wait until one of them starts, or cancel one.",
            )  # fmt: skip
        if len(self._waiting) >= MAX_WAITING:
            raise QueueFull(
                f"{len(self._waiting)} models are queued.", wanted=f"at most {MAX_WAITING}, because models load one at a time.",
                remedy="try again in some minutes, or use a model that is loaded.",
            )  # fmt: skip

    def _start_next(self) -> None:
        """Start the first queued load unless one is running; the caller has the lock."""
        if self._current is None and self._waiting:
            load = self._current = self._waiting.popleft()
            self._seen[load.name] = ModelStatus(load.name, "starting")
            threading.Thread(target=self._load, args=(load,), name=f"load {load.name}", daemon=True).start()

    def _drop(self, load: _Load) -> None:
        """Forget a load that ended without a model, but not a newer one of the same name; the caller has the lock."""
        load.is_over = True
        if self._loads.get(load.name) is load:
            del self._loads[load.name], self._seen[load.name]

    def _load(self, load: _Load) -> None:
        auditor = None
        try:
            auditor = self._read(load)
        except Cancelled:
            with self._lock:
                self._drop(load)
        except AuditError as error:
            self._end(load, ModelStatus(load.name, "failed", detail=str(error)))
        except BaseException as error:
            # Without this, an uncaught error would leave the page waiting forever.
            traceback.print_exc()
            self._end(load, ModelStatus(load.name, "failed", detail=f"Defect: {type(error).__name__}: {error}"))
            raise
        else:
            self._keep(load, auditor)
        finally:
            if auditor is None:
                # Here, because the error and its frames are released.
                _sweep()
            else:
                # The timer must not keep a model that was dropped meanwhile.
                auditor = None
                _start_timer(CALIBRATE_AFTER_S, lambda: self._calibrate(load.name))
            with self._lock:
                self._current = None
                self._start_next()

    def _calibrate(self, name: str) -> None:
        """Time the machine for predictions; only for a model that is still in memory."""
        if (auditor := self.auditor(name)) is not None:
            auditor.calibrate()

    def _read(self, load: _Load) -> Auditor:
        def report(stage: str, done: int, total: int) -> None:
            self._require_wanted(load)
            with self._lock:
                if self._loads.get(load.name) is load:
                    self._seen[load.name] = ModelStatus(load.name, stage, done, total)

        report("loading", 0, 0)
        with _without_collector():
            use_all_cores()
            # A listed model is neither requested from the hub nor searched in a folder.
            is_ours = find_origin(load.name) is ModelOrigin.KNOWN or find_listed(load.name) is not None
            subject = open_subject(load.name, on_progress=report, **({} if is_ours else {"access": load.access}))
            self._require_wanted(load)
            auditor = Auditor(subject, RunLog(audit_home()))
        note_opened(audit_home(), load.name)
        return auditor

    def _require_wanted(self, load: _Load) -> None:
        with self._lock:
            if not load.wanted_by:
                load.is_over = True
                raise Cancelled("cancelled by the last session that requested this model")

    def _keep(self, load: _Load, auditor: Auditor) -> None:
        with self._lock:
            self._auditors[load.name] = auditor
            while len(self._auditors) > KEPT:
                dropped, _ = self._auditors.popitem(last=False)
                self._seen.pop(dropped, None)
                gc.unfreeze()
        self._end(load, ModelStatus(load.name, "ready", detail=auditor.subject.identity.short))

    def _end(self, load: _Load, seen: ModelStatus) -> None:
        with self._lock:
            load.is_over = True
            if self._loads.get(load.name) is load:
                del self._loads[load.name]
                self._seen[load.name] = seen
            failed = [name for name, one in self._seen.items() if one.has_failed]
            for name in failed[:-FAILURES_KEPT]:
                del self._seen[name]


POOL = ModelPool()


def open_default() -> None:
    """Load the default model, after all that its thread and that of the first page would import side by side."""
    import_plugins()
    POOL.open("default")
