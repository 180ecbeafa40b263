"""The run log: every run is logged at start and end, with its event in the same transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit_core.evidence.canonical import dump_canonical, hash_document
from audit_core.store.database.connection import DATABASE, open_database
from audit_core.store.database.events import Action, AuditEvent, append_event, list_events
from audit_core.store.database.process_lock import is_alive, name_process

if TYPE_CHECKING:
    import duckdb

ABANDONED = "abandoned"
_NEVER_BEGUN = ("refused", "cancelled")


@dataclass(frozen=True)
class RunStart:
    """A run before it begins."""

    run_id: str
    started_at: str
    """ISO 8601, UTC."""
    actor: str
    session: str
    kind: str
    content_key: str
    """Digest of everything the result depends on; equal keys have equal results."""
    model_digest: str
    prompts_sha256: str
    identity: str
    """JSON: model, digests, dtype, attention, versions."""
    request: str
    """JSON of the request, with ids instead of texts."""


@dataclass(frozen=True)
class RunRecord:
    """One ended or abandoned run."""

    run_id: str
    started_at: str
    """ISO 8601, UTC."""
    actor: str
    session: str
    """Browser session of the request; History shows only the runs of its own session."""
    kind: str
    outcome: str
    """done | refused | not_measured | failed | cancelled | abandoned"""
    reason: str
    """Machine-readable code of an outcome that is not `done`, else empty."""
    detail: str
    content_key: str
    """Digest of everything the result depends on; equal keys have equal results."""
    model_digest: str
    prompts_sha256: str
    identity: str
    """JSON: model, digests, dtype, attention, versions."""
    request: str
    """JSON of the request, with ids instead of texts."""
    result: str | None
    """JSON of the result; None without one."""
    wall_s: float

    @property
    def start(self) -> RunStart:
        """The run as logged at its start."""
        return RunStart(**{field.name: getattr(self, field.name) for field in fields(RunStart)})


@dataclass(frozen=True)
class ClaimRun:
    """The registered claim and preregistration that a confirmatory run tests."""

    claim_id: str
    prereg_digest: str
    exploratory: str = ""
    """Why the run is exploratory and meets no policy; empty otherwise."""


@dataclass(frozen=True)
class Reached:
    """The verdict of a claim's run."""

    claim: ClaimRun
    state: str
    reason: str


_INSERT = """
INSERT INTO runs (run_id, started_at, actor, session, kind, outcome, reason, detail, content_key, model_digest, prompts_sha256,
    identity, request, result, wall_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_START = """
INSERT INTO run_start (run_id, started_at, actor, session, kind, content_key, model_digest, prompts_sha256, identity, request,
    process) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ENDED = """
SELECT number, '' AS process, run_id, started_at, actor, session, kind, outcome, reason, detail, content_key, model_digest,
    prompts_sha256, identity, request, result, wall_s FROM runs
"""
_UNENDED = """
SELECT number, process, run_id, started_at, actor, session, kind, 'abandoned' AS outcome, 'no_end' AS reason,
    'process exited without recording an outcome' AS detail, content_key, model_digest, prompts_sha256, identity, request,
    NULL AS result, 0.0 AS wall_s FROM run_start WHERE run_id NOT IN (SELECT run_id FROM runs)
"""
_ALL = f"SELECT * EXCLUDE (number) FROM ({_ENDED} UNION ALL {_UNENDED})"
_NEWEST = f"{_ALL} WHERE ? IS NULL OR session = ? ORDER BY number DESC LIMIT ?"
_OLDEST = f"{_ALL} ORDER BY number"
_THESE = """
SELECT number, run_id, started_at, actor, session, kind, outcome, reason, detail, content_key, model_digest, prompts_sha256,
    identity, request, result, wall_s FROM runs WHERE run_id IN (SELECT unnest(?)) ORDER BY number
"""
_OUTCOMES = """
SELECT run_id, outcome FROM runs WHERE run_id IN (SELECT unnest(?)) UNION ALL
SELECT run_id, '' FROM run_start WHERE run_id IN (SELECT unnest(?)) AND run_id NOT IN (SELECT run_id FROM runs)
"""
_FIND_RESULT = """
SELECT result FROM runs WHERE content_key = ? AND outcome = 'done' AND result IS NOT NULL ORDER BY number DESC LIMIT 1
"""
_LAST_OF_RUN = """
SELECT action FROM audit_event WHERE object_id = ? AND action IN ('run.started', 'run.ended', 'run.refused') ORDER BY seq DESC LIMIT 1
"""
_PROCESSES = "SELECT run_id, process FROM run_start"
# Quotes inside JSON strings are escaped, so this text matches only the field itself.
_COUNT_STARTS = "SELECT count(*) FROM audit_event WHERE action = 'run.started' AND contains(body, ?)"


class RunLog:
    """Append and read runs of one data directory.

    DuckDB allows one process per file, so each call opens and closes it under a lock file: a server and a command line can
    share one data directory.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.path = home, home / DATABASE

    def start(self, start: RunStart, claim: ClaimRun | None = None) -> int | None:
        """Log the start of a run before any result exists; without an end it counts as abandoned.

        Returns:
            Attempt number at its claim, from 1; None for a run without a registered claim.

        Raises:
            StoreRefused: another process has locked the log, or the disk fails.
        """
        process = name_process(self.home)
        with open_database(self.home) as connection:
            return _start(connection, start, claim, process)

    def append(self, record: RunRecord, reached: Reached | None = None, *, cpu_s: float | None = None) -> None:
        """Log the end of a run; a run without a logged start gets both events, or one refusal.

        Args:
            reached: verdict, logged in the same transaction as the end.
            cpu_s: CPU seconds of the whole process during the run, for the event only; None where they were not measured.

        Raises:
            StoreRefused: another process has locked the log, or the disk fails.
        """
        with open_database(self.home) as connection:
            last = connection.execute(_LAST_OF_RUN, [record.run_id]).fetchone()
            has_begun = last is not None and last[0] == Action.RUN_STARTED
            is_refused = not has_begun and record.outcome in _NEVER_BEGUN
            if not has_begun and not is_refused:
                _start(connection, record.start, None, "")
            connection.execute(_INSERT, list(asdict(record).values()))
            append_event(
                connection,
                actor=record.actor,
                action=Action.RUN_REFUSED if is_refused else Action.RUN_ENDED,
                object_id=record.run_id,
                payload=(_describe_asked(record.start) if is_refused else {}) | _describe_end(record, cpu_s),
            )
            if reached is not None:
                _log_verdict(connection, record, reached)

    def list_runs(self, *, session: str | None = None, limit: int = 200) -> tuple[RunRecord, ...]:
        """Ended and abandoned runs, newest first; optionally of one session."""
        with open_database(self.home) as connection:
            rows = connection.execute(_NEWEST, [session, session, limit]).fetchall()
        return tuple(self._read_over(rows))

    def find_result(self, content_key: str) -> dict[str, Any] | None:
        """Result of an earlier run with an equal content key, or None."""
        text = self.find_result_text(content_key)
        return None if text is None else json.loads(text)

    def find_result_text(self, content_key: str) -> str | None:
        """The same as the JSON text that was logged."""
        with open_database(self.home) as connection:
            row = connection.execute(_FIND_RESULT, [content_key]).fetchone()
        return None if row is None else str(row[0])

    def read_runs(self, run_ids: Sequence[str]) -> tuple[RunRecord, ...]:
        """Ended runs with these ids, oldest first."""
        with open_database(self.home) as connection:
            rows = connection.execute(_THESE, [list(run_ids)]).fetchall()
        return tuple(RunRecord(*row[1:]) for row in rows)

    def find_outcomes(self, run_ids: Sequence[str]) -> dict[str, str]:
        """Outcome by id of those of these runs that the log knows; empty for a run that has started and not ended."""
        with open_database(self.home) as connection:
            rows = connection.execute(_OUTCOMES, [list(run_ids), list(run_ids)]).fetchall()
        return dict(rows)

    def export(self) -> Iterator[dict[str, Any]]:
        """Every ended or abandoned run, oldest first, as plain values."""
        with open_database(self.home) as connection:
            rows = connection.execute(_OLDEST).fetchall()
        for record in self._read_over(rows):
            plain = asdict(record)
            for key in ("identity", "request", "result"):
                plain[key] = None if plain[key] is None else json.loads(plain[key])
            yield plain

    def _read_over(self, rows: list[tuple[Any, ...]]) -> Iterator[RunRecord]:
        living = {token: is_alive(self.home, token) for token in {row[0] for row in rows if row[0]}}
        return (RunRecord(*row[1:]) for row in rows if not living.get(row[0], False))


@dataclass(frozen=True)
class Unended:
    """A run with a logged start and no logged end."""

    run_id: str
    started_at: str
    kind: str
    claim_id: str | None
    is_alive: bool
    """Whether its process is still running; otherwise the run is abandoned."""


def list_unended(
    connection: duckdb.DuckDBPyConnection, home: Path, events: Sequence[AuditEvent] | None = None
) -> tuple[Unended, ...]:
    """Unended runs by the given events, or by all events; oldest first."""
    found: dict[str, AuditEvent] = {}
    for event in list_events(connection) if events is None else events:
        if event.action == Action.RUN_STARTED:
            found[event.object_id] = event
        elif event.action == Action.RUN_ENDED:
            found.pop(event.object_id, None)
    processes = dict(connection.execute(_PROCESSES).fetchall()) if found else {}
    return tuple(
        Unended(run, event.ts, event.payload["kind"], event.payload["claim_id"], is_alive(home, processes.get(run, "")))
        for run, event in found.items()
    )


def _start(connection: duckdb.DuckDBPyConnection, start: RunStart, claim: ClaimRun | None, process: str) -> int | None:
    attempt = None if claim is None else 1 + count_attempts(connection, claim.claim_id)
    connection.execute(_INSERT_START, [*astuple(start), process])
    payload = _describe_asked(start) | {
        "claim_id": None if claim is None else claim.claim_id,
        "prereg_digest": None if claim is None else claim.prereg_digest,
        "attempt_no": attempt,
        "record_sha256": hash_document(list(astuple(start))),
    }
    append_event(connection, actor=start.actor, action=Action.RUN_STARTED, object_id=start.run_id, payload=payload)
    return attempt


def _log_verdict(connection: duckdb.DuckDBPyConnection, record: RunRecord, reached: Reached) -> None:
    payload = {
        "claim_id": reached.claim.claim_id,
        "state": reached.state,
        "reason": reached.reason,
        "exploratory": reached.claim.exploratory or None,
    }
    append_event(
        connection, actor=record.actor, action=Action.VERDICT_REACHED, object_id=record.run_id, payload=payload
    )


def count_attempts(connection: duckdb.DuckDBPyConnection, claim_id: str) -> int:
    """Number of runs that were started on a registered claim, with any outcome."""
    named = dump_canonical({"claim_id": claim_id})[1:-1].decode()
    row = connection.execute(_COUNT_STARTS, [named]).fetchone()
    return int(row[0]) if row else 0


def _describe_asked(start: RunStart) -> dict[str, Any]:
    """Digests and ids of the request; the audit log contains no prompts or results."""
    return {
        "kind": start.kind,
        "content_key": start.content_key,
        "prompts_sha256": start.prompts_sha256,
        "model_digest": start.model_digest,
    }


def _describe_end(record: RunRecord, cpu_s: float | None) -> dict[str, Any]:
    return {
        "outcome": record.outcome,
        "reason": record.reason,
        "result_sha256": None if record.result is None else hashlib.sha256(record.result.encode()).hexdigest(),
        "wall_s": record.wall_s,
        "cpu_s": cpu_s,
        "record_sha256": hash_document(list(astuple(record))),
    }
