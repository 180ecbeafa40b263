"""Models that wait, are being fetched or loaded, or are ready, for all sessions; one load at a time, in the background, and no screen."""

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
from audit_core.engine import spare_a_core, use_all_cores
from audit_core.errors import QueueFull
from audit_core.models import PAGE, ModelAccess, find_known
from audit_core.store import note_opened
from audit_core.subjects import find_planted

KEPT = 2
"""Loaded models kept in memory; the default model takes 0.6 GB."""
MAX_WAITING = 4
"""Models that may wait while another is loaded."""
MAX_WAITING_EACH = 2
"""Of one owner."""
FAILURES_KEPT = 64
"""Models whose failure is remembered."""
SERVER = ""
"""Owner of the load that the server itself begins with; nobody can cancel it."""


AnswerT = TypeVar("AnswerT")


@contextmanager
def _without_collector() -> Iterator[None]:
    """Importing torch makes a million objects that stay: do not look through them for rubbish, now or ever again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _sweep() -> None:
    """Free what a load left behind that came to nothing: it was frozen with all else that was loaded."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class ModelStatus:
    """How far a model is."""

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
    """Who asked first."""
    wanted_by: set[str] = field(default_factory=set)
    is_over: bool = False
    """Nobody can join it any more: it has stopped, or has ended."""


class ModelPool:
    """Opens each model once, whoever asks and however often; one at a time, as two loads at once need the memory of both."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, ModelStatus] = {}
        self._auditors: OrderedDict[str, Auditor] = OrderedDict()
        self._loads: dict[str, _Load] = {}
        """By name, those that wait or are under way."""
        self._waiting: deque[_Load] = deque()
        self._current: _Load | None = None
        self._desk = ThreadPoolExecutor(1, "assay-live", initializer=spare_a_core)

    def answer(self, work: Callable[[], AnswerT]) -> AnswerT:
        """Do what takes under a second with a model, and wait for it."""
        return self._desk.submit(work).result()

    def open(self, name: str, *, owner: str = SERVER, access: ModelAccess = PAGE) -> ModelStatus:
        """Start loading unless that is under way, done or has failed: a page runs often, and must not try each time.

        Args:
            owner: who wants it, and may cancel it.

        Raises:
            QueueFull: as many models wait, of this owner or of all, as may.
        """
        with self._lock:
            load = self._loads.get(name)
            if load is not None and not load.is_over:
                # Also of one that nobody wanted a moment ago, and that has not noticed yet.
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
        """Try a failed model again."""
        with self._lock:
            if name in self._seen and self._seen[name].has_failed:
                del self._seen[name]
        return self.open(name, owner=owner, access=access)

    def cancel(self, name: str, *, owner: str) -> None:
        """Take one's own interest back; the load stops once nobody wants it, at its next step, and frees its turn."""
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
        """Whether nothing is being loaded or waits."""
        with self._lock:
            return self._current is None

    def auditor(self, name: str) -> Auditor | None:
        """The ready model, or None."""
        with self._lock:
            if name in self._auditors:
                self._auditors.move_to_end(name)
            return self._auditors.get(name)

    def _require_room(self, owner: str) -> None:
        mine = sum(load.owner == owner for load in self._waiting)
        if mine >= MAX_WAITING_EACH:
            raise QueueFull(
                f"{mine} models that you asked for wait to be loaded.", wanted=f"at most {MAX_WAITING_EACH} of one person.",
                remedy="wait until one of them begins, or cancel one.",
            )  # fmt: skip
        if len(self._waiting) >= MAX_WAITING:
            raise QueueFull(
                f"{len(self._waiting)} models wait to be loaded.", wanted=f"at most {MAX_WAITING}: models are loaded one at a time.",
                remedy="try again in some minutes, or use a model that is loaded.",
            )  # fmt: skip

    def _start_next(self) -> None:
        """Begin the first load that waits, unless one is under way; inside the lock."""
        if self._current is None and self._waiting:
            load = self._current = self._waiting.popleft()
            self._seen[load.name] = ModelStatus(load.name, "starting")
            threading.Thread(target=self._load, args=(load,), name=f"load {load.name}", daemon=True).start()

    def _drop(self, load: _Load) -> None:
        """Forget a load that ended without a model; inside the lock. A newer one of the same name stays."""
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
            # A thread that dies in silence would leave the page waiting for ever.
            traceback.print_exc()
            self._end(load, ModelStatus(load.name, "failed", detail=f"Defect: {type(error).__name__}: {error}"))
            raise
        else:
            self._keep(load, auditor)
            auditor.calibrate()
        finally:
            if auditor is None:
                # Here, where the error and the frames that it held are gone.
                _sweep()
            with self._lock:
                self._current = None
                self._start_next()

    def _read(self, load: _Load) -> Auditor:
        def report(stage: str, done: int, total: int) -> None:
            self._require_wanted(load)
            with self._lock:
                if self._loads.get(load.name) is load:
                    self._seen[load.name] = ModelStatus(load.name, stage, done, total)

        report("loading", 0, 0)
        with _without_collector():
            use_all_cores()
            # What is shipped or built here is neither asked of the hub nor looked for in a folder.
            is_ours = find_known(load.name) is not None or find_planted(load.name) is not None
            subject = open_subject(load.name, on_progress=report, **({} if is_ours else {"access": load.access}))
            self._require_wanted(load)
            auditor = Auditor(subject, RunLog(audit_home()))
        note_opened(audit_home(), load.name)
        return auditor

    def _require_wanted(self, load: _Load) -> None:
        with self._lock:
            if not load.wanted_by:
                load.is_over = True
                raise Cancelled("cancelled by the last person who waited for this model")

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
