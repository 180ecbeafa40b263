"""What the API works with: the data directory, the queue of jobs, and models, of the dashboard or of its own."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from audit_core.api.errors import Fault, describe_error
from audit_core.errors import AuditError, ModelRefused
from audit_core.jobs import JobManager, JobState, Report, Snapshot
from audit_core.models import ANONYMOUS, LINK, ModelOrigin, find_origin
from audit_core.run import Auditor, open_subject
from audit_core.store import RunLog, audit_home
from audit_core.subject_family import find_listed

MAX_MODEL_NAME = 200
_FAULTS_KEPT = 256

OpenAuditor = Callable[[str, str, Report], Auditor]
"""Model name, owner and progress callback → the loaded model with its log."""


@dataclass(frozen=True)
class JobOutcome:
    """What a finished job names."""

    run_id: str = ""
    """The run with the result; empty for a job that made none."""
    claim_id: str = ""
    digest: str = ""
    """Digest of a frozen plan."""
    attempt: int | None = None
    state: str = ""
    """Verdict of an attempt."""
    sentence: str = ""
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobDocument:
    """State of a job."""

    id: str
    title: str
    state: JobState
    done: int
    total: int
    """Units of work; 0 until known."""
    remaining_s: float | None
    """Predicted seconds left, from its own pace; null until known."""
    outcome: JobOutcome | None
    error: Fault | None


class Workbench:
    """Shared by all requests; stores nothing about its users beyond their jobs."""

    def __init__(
        self, open_auditor: OpenAuditor, jobs: Callable[[], JobManager], home: Callable[[], Path] = audit_home
    ) -> None:
        self.home, self.jobs, self._open = home, jobs, open_auditor
        self._faults: OrderedDict[str, list[Fault]] = OrderedDict()
        self._lock = threading.Lock()

    def open_auditor(self, name: str, owner: str, report: Report) -> Auditor:
        """The model, loaded if necessary; no request is sent to the hub, and no folder of the server is read by its path.

        Raises:
            ModelRefused: it is neither listed nor in the hub library's cache.
        """
        check_model(name)
        return self._open(name, owner, report)

    def submit(self, key: str, title: str, work: Callable[[Report], JobOutcome], *, owner: str) -> JobDocument:
        """Queue work; equal keys of one owner would be one job, so a key names its request."""
        faults: list[Fault] = []

        def run(report: Report) -> JobOutcome:
            try:
                return work(report)
            except AuditError as error:
                faults.append(describe_error(error)[1])
                raise

        job = self.jobs().submit(key, title, run, owner=owner)
        with self._lock:
            self._faults[job] = faults
            while len(self._faults) > _FAULTS_KEPT:
                self._faults.popitem(last=False)
        found = self.find_job(job, owner=owner)
        assert found is not None
        return found

    def find_job(self, job: str, *, owner: str) -> JobDocument | None:
        """State of a job of this owner; None for any other."""
        seen = self.jobs().get(job, owner=owner)
        return None if seen is None else self._describe(seen)

    def _describe(self, seen: Snapshot) -> JobDocument:
        with self._lock:
            faults = list(self._faults.get(seen.id, ()))
        failed = seen.state is JobState.FAILED
        # The text of a defect may name files of the server; it is in the server's own output.
        error = (faults[0] if faults else describe_error(AuditError())[1]) if failed else None
        outcome = seen.result if isinstance(seen.result, JobOutcome) else None
        return JobDocument(seen.id, seen.title, seen.state, seen.done, seen.total, seen.remaining_s, outcome, error)


class ServerModels:
    """Models of an API that runs without the dashboard: one in memory, as one job runs at a time."""

    def __init__(self) -> None:
        self._name = ""
        self._auditor: Auditor | None = None
        self._lock = threading.Lock()

    def open(self, name: str, owner: str, report: Report) -> Auditor:
        """The model; progress of loading is that of the job."""
        with self._lock:
            if self._auditor is None or self._name != name:
                # The old one is released first: two may not fit in memory.
                self._name, self._auditor = "", None
                is_ours = find_origin(name) is ModelOrigin.KNOWN or find_listed(name) is not None
                access = ANONYMOUS if is_ours else LINK
                subject = open_subject(name, on_progress=lambda _stage, done, total: report(done, total), access=access)
                self._name, self._auditor = name, Auditor(subject, RunLog(audit_home()))
            return self._auditor


def check_model(name: str) -> None:
    """Refuse a name that is a path or no model's name.

    Raises:
        ModelRefused: with what is accepted.
    """
    is_named = 0 < len(name) <= MAX_MODEL_NAME and name.isprintable()
    if is_named and (find_listed(name) is not None or find_origin(name) is ModelOrigin.KNOWN):
        return
    # A folder below the server's own would be opened before a hub model of the same name.
    if is_named and find_origin(name) is ModelOrigin.HUB and not Path(name).exists():
        return
    raise ModelRefused(
        f"A model {name[:60]!r}.", wanted="a known or planted model, or a hub id that is in this server's cache; no folder.",
        remedy="see `models` on the server; fetch a hub model there with `fetch ORG/NAME`.",
    )  # fmt: skip
