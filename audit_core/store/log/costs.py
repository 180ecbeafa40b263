"""Time and verdict of each run, the input of the cost report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit_core.registry import list_plugins
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, list_events
from audit_core.store.database.process_lock import is_alive
from audit_core.store.log.run_log import ABANDONED

UNDER_WAY = "under way"


@dataclass(frozen=True)
class RunCost:
    """Time and verdict of one run."""

    run_id: str
    kind: str
    outcome: str
    """Outcome in the run log, or under way."""
    content_key: str
    has_begun: bool
    """False where it was refused or cancelled before its start."""
    wall_s: float | None
    """None for a run without an end."""
    cpu_s: float | None
    """CPU seconds of the whole process during the run; None where they were not recorded."""
    state: str | None
    """State of the verdict; None without one."""
    reason: str | None
    """Reason of an inconclusive verdict."""


_ENDED = "SELECT run_id, kind, outcome, content_key, wall_s FROM runs ORDER BY number"
_VERDICTS = """
SELECT run_id, coalesce(json_extract_string(result, '$.state'), json_extract_string(result, '$.verdict.state')),
    coalesce(json_extract_string(result, '$.reason'), json_extract_string(result, '$.verdict.reason'))
FROM runs WHERE list_contains(?, kind) AND outcome = 'done' AND json_valid(result)
"""
_UNENDED = """
SELECT run_id, kind, content_key, process FROM run_start WHERE run_id NOT IN (SELECT run_id FROM runs) ORDER BY number
"""


def list_run_costs(home: Path) -> tuple[RunCost, ...]:
    """Every run of the log: ended runs, then unended ones, each oldest first.

    Raises:
        StoreRefused: another process has locked the log.
        IntegrityError: an event cannot be read.
    """
    judging = [name for name, audit in list_plugins("audits").items() if audit.judges]
    with open_database(home) as connection:
        ended = connection.execute(_ENDED).fetchall()
        unended = connection.execute(_UNENDED).fetchall()
        verdicts = {run: verdict for run, *verdict in connection.execute(_VERDICTS, [judging]).fetchall()}
        reported = {event.object_id: event.payload for event in list_events(connection, action=Action.RUN_ENDED)}
        refused = {event.object_id for event in list_events(connection, action=Action.RUN_REFUSED)}
    rows = []
    for run, kind, outcome, key, wall_s in ended:
        has_begun, verdict = run not in refused, verdicts.get(run, (None, None))
        # A run that did not begin has no measured time.
        took = wall_s if has_begun else None
        cpu_s = _read_seconds(reported.get(run, {}).get("cpu_s"))
        rows.append(RunCost(run, kind, outcome, key, has_begun, took, cpu_s, *verdict))
    for run, kind, key, process in unended:
        outcome = UNDER_WAY if is_alive(home, process) else ABANDONED
        rows.append(RunCost(run, kind, outcome, key, True, None, None, None, None))
    return tuple(rows)


def list_running(home: Path) -> frozenset[str]:
    """Ids of runs that have started, have no end, and whose process is still alive."""
    with open_database(home) as connection:
        rows = connection.execute(_UNENDED).fetchall()
    return frozenset(run for run, _, _, process in rows if is_alive(home, process))


def _read_seconds(reported: Any) -> float | None:
    """Seconds in an event; None where they are missing or invalid."""
    return (
        float(reported)
        if isinstance(reported, int | float) and not isinstance(reported, bool) and reported >= 0
        else None
    )
