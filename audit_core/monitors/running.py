"""Running a monitor over texts: alarms beside those of its output-only baselines, and the drift of the stream before both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit_core.monitors.drift import DriftFound, watch_drift
from audit_core.monitors.expiry import Use, list_expired
from audit_core.monitors.monitor import Monitor
from audit_core.monitors.scoring import FIRST, read_chunks, score_output
from audit_core.monitors.texts import MonitorText
from audit_core.subject import Progress, Subject, no_progress


@dataclass(frozen=True)
class TextResult:
    """What a monitor says about one text."""

    id: str
    score: float
    is_alarm: bool
    at: int | None
    """Token of the alarm, from 0; None without one."""
    piece: str
    """That token as text; empty without an alarm."""
    baselines: tuple[str, ...]
    """Output-only signals that raise an alarm at the same false-alarm rate."""
    tokens: tuple[float, ...]
    """Score of every token."""
    pieces: tuple[str, ...]


@dataclass(frozen=True)
class MonitorRun:
    """Results in the order of the texts, with the drift over them."""

    monitor: str
    """Digest of the monitor."""
    texts: tuple[TextResult, ...]
    drift: DriftFound
    use: Use
    """Earlier texts and these."""
    expired: tuple[str, ...]
    """Why the false-alarm rate may no longer be relied on; empty while it may."""

    @property
    def n_alarms(self) -> int:
        return sum(one.is_alarm for one in self.texts)

    @property
    def is_described(self) -> bool:
        """Whether the calibration still describes the traffic; if not, the false-alarm rate is not bounded."""
        return self.drift.at is None and self.use.drifted_at is None


def run_monitor(
    subject: Subject,
    monitor: Monitor,
    texts: Sequence[MonitorText],
    *,
    use: Use | None = None,
    on_progress: Progress = no_progress,
) -> MonitorRun:
    """Score texts. An expired monitor scores too, and says that it has expired.

    Args:
        use: what earlier runs over the same stream have scored; None: this is the first.

    Raises:
        Refused: the monitor was calibrated on another model.
        NotMeasured: a number is not finite.
    """
    monitor.require_model(subject)
    rule, found = monitor.recipe.rule, []
    for text, reading in read_chunks(subject, texts, monitor.recipe.layer, on_progress):
        tokens = monitor.score_tokens(reading)
        at = rule.find_alarm(tokens, monitor.threshold)
        pieces = tuple(subject.tokenizer.piece(one) for one in text.ids)
        others = tuple(
            one.signal.value
            for one in monitor.report.baselines
            if rule.score(score_output(reading, text.ids, one.signal)) > one.found.threshold.value
        )
        found.append(
            TextResult(
                text.id, rule.score(tokens), at is not None, at, "" if at is None else pieces[at], others,
                (0.0, *map(float, tokens[FIRST:])), pieces,
            )
        )  # fmt: skip
    before = use or Use(monitor.sha256)
    scores = np.array([one.score for one in found])
    drift = watch_drift(monitor.calibration, scores, monitor.report.drift.limit, start=before.total)
    drifted_at = before.drifted_at
    if drifted_at is None and drift.at is not None:
        drifted_at = before.n_texts + drift.at
    after = Use(monitor.sha256, before.n_texts + len(found), drift.total, drifted_at)
    return MonitorRun(monitor.sha256, tuple(found), drift, after, list_expired(monitor, after))
