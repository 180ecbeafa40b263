"""Scoring a text and recording an alarm: each checks the permission of the signed-in user, and logs a refusal."""

from __future__ import annotations

import hashlib

from audit_core import audit_home
from audit_core.governance import Permission
from audit_core.monitors import (
    AlertRecorded,
    Monitor,
    MonitorRun,
    MonitorText,
    record_alert,
    run_monitor,
    tokenise_text,
)
from audit_core.subject import Subject
from ui.flow import sample, services


def score_text(subject: Subject, monitor: Monitor, text: str) -> MonitorRun:
    """Score one text in the signed-in user's name.

    Raises:
        Refused: another model than the monitor's, or a text without two tokens or with too many.
    """
    services.authorize(Permission.RUN, monitor.sha256)
    ids = tokenise_text(text, subject.tokenizer)
    return services.POOL.answer(lambda: run_monitor(subject, monitor, [MonitorText("your text", ids)]))


def record_alarm(monitor: Monitor, run: MonitorRun, text: str, *, marks_stale: bool) -> AlertRecorded:
    """Log an alarm; with `marks_stale`, claims about the model become stale, as after a reported incident."""
    sample.refuse_on_sample("no alarm was recorded")
    person = services.authorize(Permission.DECLARE_INCIDENT if marks_stale else Permission.RUN, monitor.sha256)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return record_alert(audit_home(), monitor, run, texts_sha256=digest, by=person.id, marks_stale=marks_stale)
