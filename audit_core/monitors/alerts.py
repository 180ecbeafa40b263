"""Alarms in the audit log: an event, and if a person asks for it, stale claims about the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audit_core.errors import Refused
from audit_core.monitors.monitor import Monitor
from audit_core.monitors.running import MonitorRun
from audit_core.store.claims.change_log import record_changes
from audit_core.store.claims.register import Register
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event
from audit_core.trigger import Change, TriggerKind


@dataclass(frozen=True)
class AlertRecorded:
    """What an alarm left in the data directory."""

    seq: int
    """Number of the event."""
    stale: tuple[str, ...]
    """Claims that are stale now because of it; those that were already are not named again."""


def record_alert(
    home: Path, monitor: Monitor, run: MonitorRun, *, texts_sha256: str, by: str, marks_stale: bool
) -> AlertRecorded:
    """Log an alarm, or that the calibration no longer describes the traffic.

    Args:
        texts_sha256: of what was read; the log keeps no text.
        marks_stale: whether every active claim about the monitor's model becomes stale, as after a reported incident.

    Raises:
        Refused: there is nothing to record.
    """
    if not run.n_alarms and run.is_described:
        raise Refused("No alarm.", wanted="a run with one.", remedy="nothing needs to be recorded.")
    payload = {
        "monitor_sha256": monitor.sha256, "model_digest": monitor.model.short, "texts_sha256": texts_sha256,
        "n_texts": len(run.texts), "n_alarms": run.n_alarms, "drifted": not run.is_described,
    }  # fmt: skip
    with open_database(home) as connection:
        event = append_event(
            connection, actor=by, action=Action.MONITOR_ALARMED, object_id=monitor.sha256, payload=payload
        )
    return AlertRecorded(event.seq, _mark_stale(home, monitor, by) if marks_stale else ())


def _mark_stale(home: Path, monitor: Monitor, by: str) -> tuple[str, ...]:
    reason = f"monitor {monitor.recipe.name} ({monitor.sha256[:12]}) raised an alarm"
    found = []
    for claim in Register(home).list_claims():
        pins = claim.plan.pins
        if claim.withdrawn or pins.model_digest != monitor.model.short:
            continue
        change = Change(TriggerKind.INCIDENT, "", "", reason)
        if record_changes(home, claim.claim_id, [change], held_for=pins.model_digest, by=by):
            found.append(claim.claim_id)
    return tuple(found)
