"""A check of a finished monitor on texts that it has never seen: false alarms and detection by style, drift, and its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np

from audit_core.errors import NotMeasured, Refused
from audit_core.evidence.canonical import hash_document
from audit_core.monitors.drift import DriftFound, watch_drift
from audit_core.monitors.monitor import Monitor
from audit_core.monitors.overhead import Overhead, measure_overhead
from audit_core.monitors.scoring import read_chunks, score_output
from audit_core.monitors.texts import MonitorText, digest_text
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.stats.multiplicity import adjust_by_holm
from audit_core.stats.shares import wilson
from audit_core.subject import Progress, Subject, no_progress

MAX_NORMAL = 1_000
"""Normal texts of one style."""
MAX_STYLES = 12
PLAIN = "as it is"
"""Style of a text that names none."""


class Holds(StrEnum):
    """The measured false-alarm rate beside the stated one."""

    WITHIN = "within the stated rate"
    ABOVE = "above the stated rate"
    OPEN = "not resolved"


@dataclass(frozen=True)
class StyleCheck:
    """Texts of one style."""

    style: str
    false_alarms: Estimate
    p: float
    """Of the rate being above the stated one: exact binomial."""
    p_adjusted: float
    """After Holm's correction for all styles."""
    holds: Holds
    detection: Estimate | None
    """Share of the cases with an alarm at or after the onset; None without cases."""
    baseline_alarms: Estimate
    """False alarms of the best output-only baseline."""
    baseline_detection: Estimate | None


@dataclass(frozen=True)
class MonitorCheck:
    """What a monitor does on texts that were neither fitted nor calibrated on."""

    monitor: str
    """Digest of the monitor."""
    model: str
    rate: float
    """The stated false-alarm rate."""
    baseline: str
    styles: tuple[StyleCheck, ...]
    drift: DriftFound
    """Over the normal texts of the first style, in their order."""
    n_left_out: int
    """Texts of a group of which another was used."""
    is_seen_known: bool
    """Whether the file says which texts it was made of; if not, they were not compared."""
    overhead: Overhead | None
    why_no_overhead: str
    texts_sha256: str
    made_at: str

    def describe(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def check_monitor(
    subject: Subject,
    monitor: Monitor,
    texts: Sequence[MonitorText],
    *,
    with_overhead: bool = True,
    on_progress: Progress = no_progress,
) -> MonitorCheck:
    """Count false alarms and detections on other texts, by style.

    Of the texts of one group, style and kind only the first counts, so that those that count are independent.

    Raises:
        Refused: another model, a text that was fitted or calibrated on, a style without normal texts, or too many of them.
        NotMeasured: a number is not finite.
    """
    monitor.require_model(subject)
    _refuse_seen(monitor, texts)
    used = _take_first(texts)
    order = list(dict.fromkeys(text.style for text in used))
    _refuse_numbers(used, order)
    rule, best = (
        monitor.recipe.rule,
        next(one for one in monitor.report.baselines if one.signal.value == monitor.report.best),
    )
    alarms: dict[tuple[str, bool], list[tuple[bool, bool]]] = {}
    scores = []
    for text, reading in read_chunks(subject, used, monitor.recipe.layer, on_progress):
        tokens, other = monitor.score_tokens(reading), score_output(reading, text.ids, best.signal)
        since = {"since": text.onset or 0} if text.is_case else {}
        found = rule.find_alarm(tokens, monitor.threshold, **since) is not None
        its = rule.find_alarm(other, best.found.threshold.value, **since) is not None
        alarms.setdefault((text.style, text.is_case), []).append((found, its))
        if text.style == order[0] and not text.is_case:
            scores.append(rule.score(tokens))
    overhead, why = None, "it was not asked for"
    if with_overhead:
        try:
            overhead, why = measure_overhead(subject, monitor, used), ""
        except NotMeasured as error:
            why = error.detail
    return MonitorCheck(
        monitor.sha256, monitor.model.model, monitor.recipe.rate, best.signal.value, _judge(monitor, order, alarms),
        watch_drift(monitor.calibration, np.array(scores), monitor.report.drift.limit), len(texts) - len(used),
        bool(monitor.seen), overhead, why,
        hash_document([[one.id, list(one.ids), one.is_case, one.onset, one.group, one.style] for one in texts]),
        datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip


def _refuse_seen(monitor: Monitor, texts: Sequence[MonitorText]) -> None:
    seen = set(monitor.seen)
    known = [text.id for text in texts if digest_text(text.ids) in seen]
    if known:
        raise Refused(
            f"{len(known)} of {len(texts)} texts were fitted or calibrated on, such as {known[0][:60]!r}.",
            wanted="texts that the monitor has never seen.", remedy="leave them out.",
        )  # fmt: skip


def _take_first(texts: Sequence[MonitorText]) -> list[MonitorText]:
    first: dict[tuple[str, str, bool], MonitorText] = {}
    for text in texts:
        first.setdefault((text.style, text.group or f"\0{text.id}", text.is_case), text)
    return list(first.values())


def _refuse_numbers(used: Sequence[MonitorText], styles: Sequence[str]) -> None:
    if len(styles) > MAX_STYLES:
        raise Refused(f"{len(styles)} styles.", wanted=f"at most {MAX_STYLES}.", remedy="check fewer at once.")
    for style in styles:
        n = sum(text.style == style and not text.is_case for text in used)
        if not 1 <= n <= MAX_NORMAL:
            raise Refused(
                f"{n:,} normal texts of style {style or PLAIN!r}.", wanted=f"1 to {MAX_NORMAL:,}.",
                remedy="give normal texts of every style; of one group the first counts.",
            )  # fmt: skip


def _judge(
    monitor: Monitor, order: Sequence[str], alarms: dict[tuple[str, bool], list[tuple[bool, bool]]]
) -> tuple[StyleCheck, ...]:
    from scipy.stats import binom

    rate = monitor.recipe.rate
    hits = [np.array(alarms[style, False]).sum(0) for style in order]
    n = [len(alarms[style, False]) for style in order]
    p = [float(binom.sf(int(one[0]) - 1, size, rate)) for one, size in zip(hits, n)]
    found = []
    for at, (style, adjusted) in enumerate(zip(order, adjust_by_holm(p))):
        false_alarms, baseline = (wilson(int(one), n[at], "share of normal texts") for one in hits[at])
        cases = alarms.get((style, True), [])
        detection, its = (
            [wilson(int(one), len(cases), "share of cases") for one in np.array(cases).sum(0)]
            if cases
            else (None, None)
        )
        holds = Holds.ABOVE if adjusted <= 1 - LEVEL + 1e-12 else Holds.OPEN
        if holds is Holds.OPEN and false_alarms.high is not None and false_alarms.high <= rate:
            holds = Holds.WITHIN
        found.append(StyleCheck(style or PLAIN, false_alarms, p[at], float(adjusted), holds, detection, baseline, its))
    return tuple(found)
