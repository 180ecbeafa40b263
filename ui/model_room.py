"""Models that are being fetched, loaded or ready, for all sessions; loads in the background and knows no screen."""

from __future__ import annotations

import gc
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from audit_core import AuditError, Auditor, RunLog, audit_home, leave_a_core, open_subject, take_all_cores

KEPT = 2
"""Loaded models kept in memory; the default model takes 0.6 GB."""


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


@dataclass(frozen=True)
class Seen:
    """How far a model is."""

    name: str
    stage: str
    """fetch stage, "loading", "ready" or "failed"."""
    done: int = 0
    total: int = 0
    detail: str = ""

    @property
    def is_ready(self) -> bool:
        return self.stage == "ready"

    @property
    def has_failed(self) -> bool:
        return self.stage == "failed"


class ModelRoom:
    """Opens each model once, whoever asks and however often."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, Seen] = {}
        self._auditors: OrderedDict[str, Auditor] = OrderedDict()
        self._desk = ThreadPoolExecutor(1, "assay-live", initializer=leave_a_core)

    def answer(self, work: Callable[[], AnswerT]) -> AnswerT:
        """Do what takes under a second with a model, and wait for it."""
        return self._desk.submit(work).result()

    def open(self, name: str) -> Seen:
        """Start loading unless that is under way, done or has failed: a page runs often, and must not try each time."""
        with self._lock:
            seen = self._seen.get(name)
            if seen is not None:
                return seen
            self._seen[name] = Seen(name, "starting")
        threading.Thread(target=self._load, args=(name,), name=f"load {name}", daemon=True).start()
        return self._seen[name]

    def retry(self, name: str) -> Seen:
        """Try a failed model again."""
        with self._lock:
            if name in self._seen and self._seen[name].has_failed:
                del self._seen[name]
        return self.open(name)

    def look(self, name: str) -> Seen:
        with self._lock:
            return self._seen.get(name, Seen(name, "not asked for"))

    def auditor(self, name: str) -> Auditor | None:
        """The ready model, or None."""
        with self._lock:
            if name in self._auditors:
                self._auditors.move_to_end(name)
            return self._auditors.get(name)

    def _load(self, name: str) -> None:
        def report(stage: str, done: int, total: int) -> None:
            self._set(Seen(name, stage, done, total))

        try:
            report("loading", 0, 0)
            with _without_collector():
                take_all_cores()
                auditor = Auditor(open_subject(name, on_progress=report), RunLog(audit_home()))
        except AuditError as error:
            self._set(Seen(name, "failed", detail=str(error)))
        except BaseException as error:
            # A thread that dies in silence would leave the page waiting for ever.
            traceback.print_exc()
            self._set(Seen(name, "failed", detail=f"Defect: {type(error).__name__}: {error}"))
            raise
        else:
            with self._lock:
                self._auditors[name] = auditor
                while len(self._auditors) > KEPT:
                    dropped, _ = self._auditors.popitem(last=False)
                    self._seen.pop(dropped, None)
                    gc.unfreeze()
                self._seen[name] = Seen(name, "ready", detail=auditor.subject.identity.short)
            auditor.calibrate()

    def _set(self, seen: Seen) -> None:
        with self._lock:
            self._seen[seen.name] = seen


ROOM = ModelRoom()
