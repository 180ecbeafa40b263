"""A campaign's folder in the data directory: plan, results under content keys, attempts, and a request to cancel."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from audit_core.campaigns.question import Question
from audit_core.errors import IntegrityError, Refused, StoreRefused
from audit_core.evidence.whole_file import write_new, write_whole
from audit_core.run import Ending
from audit_core.store import RunStart

SCHEMA = "assay/campaign/1"
CAMPAIGNS = "campaigns"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}-[0-9a-f]{12}", re.ASCII)
_STOP = "cancel.json"
_FOLDERS = ("results", "spent", "starts", "attempts")
MAX_PLAN_BYTES = 256 << 20


@dataclass(frozen=True)
class Plan:
    """What a campaign will run, fixed before its first result."""

    schema: str
    campaign_id: str
    name: str
    made_at: str
    """ISO 8601, UTC."""
    threads: int
    """Cores of one task."""
    questions: tuple[Question, ...]
    tasks: tuple[tuple[int, ...], ...]
    """Numbers of the questions of each task, which one worker answers in turn."""


@dataclass(frozen=True)
class Spent:
    """What one answer cost, and where it was computed."""

    started_at: str
    """ISO 8601, UTC."""
    wall_s: float
    cpu_s: float
    """CPU seconds of the worker's process."""
    machine: str
    is_reused: bool = False
    """Whether the run log had the result already, so that nothing was computed."""


@dataclass(frozen=True)
class Stop:
    """A person's request to cancel."""

    by: str
    at: str


_PLANS, _ENDINGS, _SPENT = TypeAdapter(Plan), TypeAdapter(Ending), TypeAdapter(Spent)
_STARTS, _STOPS = TypeAdapter(RunStart), TypeAdapter(Stop)


class CampaignFolder:
    """Reads and writes one campaign's files; any number of processes may use it, on machines that share the folder.

    A file is written whole, synced, and named last, and results are only created: the first answer to a question stays.
    """

    def __init__(self, home: Path, campaign_id: str) -> None:
        self.home, self.campaign_id = home, campaign_id
        self.path = home / CAMPAIGNS / campaign_id

    def write_plan(self, plan: Plan) -> None:
        """Create the campaign; an existing plan stays.

        Raises:
            StoreRefused: the folder cannot be written.
        """
        with self._writing():
            for path in (self.path.parent, self.path, *(self.path / name for name in _FOLDERS)):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                write_new(self.path / "plan.json", _PLANS.dump_json(plan), mode=0o600)

    def read_plan(self) -> Plan:
        """The plan.

        Raises:
            IntegrityError: it cannot be read.
        """
        return self._read("plan.json", _PLANS, limit=MAX_PLAN_BYTES)

    def write_ending(self, key: str, ending: Ending, spent: Spent) -> bool:
        """Store an answer with its cost under a content key, unless there is one already; returns whether it was stored.

        Raises:
            StoreRefused: the folder cannot be written.
        """
        with self._writing():
            if self.has_ended(key):
                return False
            # The result is named last: who finds it finds its cost.
            write_whole(self.path / "spent" / f"{key}.json", _SPENT.dump_json(spent), mode=0o600)
            try:
                write_new(self.path / "results" / f"{key}.json", dump_ending(ending), mode=0o600)
            except FileExistsError:
                return False
            return True

    def has_ended(self, key: str) -> bool:
        """Whether there is an answer under this content key."""
        return (self.path / "results" / f"{key}.json").exists()

    def list_ended(self) -> frozenset[str]:
        """Content keys with an answer."""
        return frozenset(path.stem for path in (self.path / "results").glob("*.json"))

    def read_ending(self, key: str) -> Ending:
        """The answer under a content key."""
        return self._read(f"results/{key}.json", _ENDINGS)

    def read_outcome(self, key: str) -> Ending:
        """The same without its result, which can be long."""
        return replace(self.read_ending(key), text=None)

    def read_spent(self, key: str) -> Spent:
        """The cost of the answer under a content key."""
        return self._read(f"spent/{key}.json", _SPENT)

    def forget(self, key: str) -> None:
        """Remove an answer without a result, and its attempts, so that the question is asked again."""
        with self._writing():
            (self.path / "results" / f"{key}.json").unlink(missing_ok=True)
            for path in (self.path / "attempts").glob(f"{key}.*"):
                path.unlink(missing_ok=True)

    def note_attempt(self, key: str) -> str:
        """Note that a worker begins a question; returns the note's name for `withdraw_attempt`."""
        name = f"{key}.{secrets.token_hex(8)}"
        words = {"at": read_now(), "machine": socket.gethostname(), "process": os.getpid()}
        with self._writing():
            write_new(self.path / "attempts" / name, json.dumps(words).encode(), mode=0o600)
        return name

    def withdraw_attempt(self, name: str) -> None:
        """Remove the note of an attempt that a person cancelled."""
        (self.path / "attempts" / name).unlink(missing_ok=True)

    def forget_attempts(self) -> None:
        """Remove the notes of attempts at questions that have no answer."""
        ended = self.list_ended()
        for path in (self.path / "attempts").iterdir():
            if path.name.partition(".")[0] not in ended:
                path.unlink(missing_ok=True)

    def count_attempts(self) -> dict[str, int]:
        """Noted attempts by content key."""
        found: dict[str, int] = {}
        for path in (self.path / "attempts").iterdir():
            key = path.name.partition(".")[0]
            if key:
                found[key] = found.get(key, 0) + 1
        return found

    def write_start(self, key: str, number: int, start: RunStart) -> None:
        """Keep a run's start before the log has it, so that a resumed campaign ends the same run."""
        with self._writing(), suppress(FileExistsError):
            write_new(self.path / "starts" / f"{key}.{number}.json", _STARTS.dump_json(start), mode=0o600)

    def read_starts(self) -> dict[str, tuple[RunStart, ...]]:
        """Starts by content key, oldest first."""
        found: dict[str, list[tuple[int, RunStart]]] = {}
        for path in (self.path / "starts").glob("*.json"):
            key, number = path.stem.split(".")
            found.setdefault(key, []).append((int(number), self._read(f"starts/{path.name}", _STARTS)))
        return {key: tuple(start for _, start in sorted(rows, key=lambda row: row[0])) for key, rows in found.items()}

    def request_stop(self, by: str) -> None:
        """Ask the running process to stop; workers stop at their next step."""
        with self._writing():
            write_whole(self.path / _STOP, _STOPS.dump_json(Stop(by[:200], read_now())), mode=0o600)

    def find_stop(self) -> Stop | None:
        """The request to cancel, or None."""
        return self._read(_STOP, _STOPS) if self.is_stopping() else None

    def is_stopping(self) -> bool:
        """Whether there is a request to cancel."""
        return (self.path / _STOP).exists()

    def clear_stop(self) -> None:
        """Take back a request to cancel, because the campaign is run again."""
        (self.path / _STOP).unlink(missing_ok=True)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Be the one process that runs this campaign and records its results.

        Raises:
            Refused: another process runs it.
        """
        lock = FileLock(self.path / "running.lock", mode=0o600)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise Refused(
                f"Campaign {self.campaign_id} is run by another process.", wanted="one process for each campaign.",
                remedy="wait for it, or cancel it: `campaign cancel`.",
            ) from error  # fmt: skip
        try:
            yield
        finally:
            lock.release()

    def is_held(self) -> bool:
        """Whether a process of this machine runs it now; the lock is released when the process exits."""
        if not (self.path / "running.lock").exists():
            return False
        try:
            with FileLock(self.path / "running.lock", mode=0o600).acquire(timeout=0):
                return False
        except Timeout:
            return True

    def _read(self, name: str, adapter: TypeAdapter[Any], *, limit: int = 64 << 20) -> Any:
        try:
            raw = (self.path / name).read_bytes()
            if len(raw) > limit:
                raise ValueError("too large")
            return adapter.validate_json(raw)
        except (OSError, ValueError) as error:
            raise IntegrityError(f"{name} of campaign {self.campaign_id} cannot be read: {str(error)[:200]}") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreRefused(
                f"Campaign {self.campaign_id} cannot be written: {error.strerror or error}.",
                wanted="a writable data directory that every worker shares.", remedy="check the disk and its mounts.",
            ) from error  # fmt: skip


def dump_ending(ending: Ending) -> bytes:
    """An answer as stored: equal answers have equal bytes, whichever engine computed them."""
    return json.dumps(asdict(ending), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def list_campaigns(home: Path) -> tuple[str, ...]:
    """Ids of the campaigns with a plan, the newest first."""
    folder = home / CAMPAIGNS
    plans = sorted(folder.glob("*/plan.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return tuple(path.parent.name for path in plans if _ID.fullmatch(path.parent.name))


def find_campaign(home: Path, campaign_id: str) -> CampaignFolder:
    """The folder of a campaign.

    Raises:
        Refused: there is none of this id.
    """
    if campaign_id not in list_campaigns(home):
        raise Refused(
            f"No campaign {campaign_id[:60]!r}.", wanted="a campaign that was planned here.", remedy="list them: `campaign status`."
        )  # fmt: skip
    return CampaignFolder(home, campaign_id)


def divide_tasks(questions: Sequence[Question], least_s: float, most_s: float) -> tuple[tuple[int, ...], ...]:
    """Join questions of one model, in their order, until a task lasts long enough; see `plan`."""
    tasks: list[tuple[int, ...]] = []
    open_task: list[int] = []
    spent, model = 0.0, ""
    for question in questions:
        long = question.predicted_s
        full = long is None or spent >= least_s or spent + long > most_s
        if open_task and (question.model != model or full):
            tasks.append(tuple(open_task))
            open_task, spent = [], 0.0
        model = question.model
        open_task.append(question.number)
        spent += most_s if long is None else long
    return (*tasks, tuple(open_task)) if open_task else tuple(tasks)


def read_now() -> str:
    """Now as the log writes it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
