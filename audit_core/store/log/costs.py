"""What each run took and what it said, row by row; the cost of audits is counted from these."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, list_events
from audit_core.store.database.process_lock import is_alive
from audit_core.store.log.run_log import ABANDONED

UNDER_WAY = "under way"


@dataclass(frozen=True)
class RunCost:
    """One run."""

    run_id: str
    kind: str
    outcome: str
    """As the run log has it, or under way."""
    content_key: str
    has_begun: bool
    """False where it was refused, or cancelled in the queue, before anything ran."""
    wall_s: float | None
    """None of a run without an end."""
    cpu_s: float | None
    """Of the whole process meanwhile; None where it was not recorded."""
    state: str | None
    """Of the verdict, where the run came to one."""
    reason: str | None
    """Why that is inconclusive."""


_ENDED = "SELECT run_id, kind, outcome, content_key, wall_s FROM runs ORDER BY number"
_VERDICTS = """
SELECT run_id, coalesce(json_extract_string(result, '$.state'), json_extract_string(result, '$.verdict.state')),
    coalesce(json_extract_string(result, '$.reason'), json_extract_string(result, '$.verdict.reason'))
FROM runs WHERE kind IN ('claim_test', 'confirmation') AND outcome = 'done' AND json_valid(result)
"""
_UNENDED = """
SELECT run_id, kind, content_key, process FROM run_start WHERE run_id NOT IN (SELECT run_id FROM runs) ORDER BY number
"""


def list_run_costs(home: Path) -> tuple[RunCost, ...]:
    """Every run of the log, those that ended first, oldest first.

    Raises:
        StoreRefused: another process holds the log.
        IntegrityError: an event cannot be read.
    """
    with open_database(home) as connection:
        ended = connection.execute(_ENDED).fetchall()
        unended = connection.execute(_UNENDED).fetchall()
        verdicts = {run: said for run, *said in connection.execute(_VERDICTS).fetchall()}
        reported = {event.object_id: event.payload for event in list_events(connection, action=Action.RUN_ENDED)}
        refused = {event.object_id for event in list_events(connection, action=Action.RUN_REFUSED)}
    rows = []
    for run, kind, outcome, key, wall_s in ended:
        has_begun, said = run not in refused, verdicts.get(run, (None, None))
        # What never began took no time that anybody measured.
        took = wall_s if has_begun else None
        cpu_s = _read_seconds(reported.get(run, {}).get("cpu_s"))
        rows.append(RunCost(run, kind, outcome, key, has_begun, took, cpu_s, *said))
    for run, kind, key, process in unended:
        outcome = UNDER_WAY if is_alive(home, process) else ABANDONED
        rows.append(RunCost(run, kind, outcome, key, True, None, None, None, None))
    return tuple(rows)


def _read_seconds(reported: Any) -> float | None:
    """Events from before it was recorded have none."""
    return (
        float(reported)
        if isinstance(reported, int | float) and not isinstance(reported, bool) and reported >= 0
        else None
    )
