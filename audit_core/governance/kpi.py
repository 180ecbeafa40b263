"""Key figures of the process and of the measurements, each with its definition, its threshold and that threshold's source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from audit_core.governance.policy import Policy
from audit_core.governance.process_counts import (
    Counted,
    count_attempts,
    count_deviations,
    count_evidence,
    count_four_eyes,
    count_preregistered,
    count_reproduced,
    count_review_h,
    count_stale,
    count_unanchored_events,
    count_unanchored_s,
    count_verified_s,
    count_within_tolerance,
)
from audit_core.governance.records import ProcessRecords

ANCHOR_EVENTS, ANCHOR_S, VERIFY_S = 100, 3600, 86_400


@dataclass(frozen=True)
class KeyFigure:
    """One number of a dashboard."""

    name: str
    value: float | None
    unit: str
    n: int | None
    """Things counted."""
    reason: str | None
    """Why there is no value."""
    definition: str
    default: str | None
    """Default threshold; None where the figure is only shown."""
    source: str | None
    """Source of the threshold: default, organisation or regulator."""

    def __post_init__(self) -> None:
        if (self.value is None) is not bool(self.reason):
            raise ValueError(f"{self.name}: either a value or a reason.")

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class _Rule:
    name: str
    unit: str
    needs: tuple[str, ...]
    """Records that the count needs."""
    count: Callable[[ProcessRecords, datetime], Counted]
    default: str | None
    definition: str


def list_process_figures(records: ProcessRecords, *, now: datetime) -> tuple[KeyFigure, ...]:
    """Every figure of the process, in a fixed order.

    Args:
        now: with a time zone.
    """
    return tuple(_evaluate(rule, records, now) for rule in _RULES)


def list_measured_figures(rows: Sequence[Mapping[str, Any]], policy: Policy) -> tuple[KeyFigure, ...]:
    """One figure per metric row, with the policy's threshold for its metric."""
    asked = {criterion.metric: criterion for criterion in policy.criteria}
    figures = []
    for row in rows:
        criterion = asked.get(row["metric"])
        under = f", {row['ablation']}" if row.get("ablation") else ""
        figures.append(
            KeyFigure(
                f"{row['claim_id']}: {row['metric']}{under}",
                row["estimate"],
                row["unit"],
                row["n"],
                row["reason"],
                row.get("ci_method") or "no interval",
                None if criterion is None else f"{criterion.comparator} {criterion.threshold:g} ({criterion.bound})",
                None if criterion is None else criterion.source.value,
            )
        )
    return tuple(figures)


def _evaluate(rule: _Rule, records: ProcessRecords, now: datetime) -> KeyFigure:
    unread = [name for name in rule.needs if getattr(records, name) is None]
    found: Counted = f"not read: {', '.join(unread)}" if unread else rule.count(records, now)
    value, n, reason = (None, None, found) if isinstance(found, str) else (*found, None)
    source = "default" if rule.default else None
    return KeyFigure(rule.name, value, rule.unit, n, reason, rule.definition, rule.default, source)


_RULES = (
    _Rule(
        "evidence_coverage",
        "ratio",
        ("claims", "packs"),
        count_evidence,
        ">= 1",
        "claims in a pack that was checked / claims in the register; without drafts, superseded and withdrawn ones",
    ),
    _Rule(
        "prereg_rate",
        "ratio",
        ("claims", "attempts"),
        count_preregistered,
        ">= 0.9",
        "claims frozen before their first run / claims with a confirmatory run",
    ),
    _Rule(
        "deviation_rate",
        "count",
        ("preregistrations", "deviations"),
        count_deviations,
        None,
        "deviations / frozen preregistrations",
    ),
    _Rule(
        "attempts_per_reported_claim",
        "count",
        ("attempts", "packs"),
        count_attempts,
        None,
        "confirmatory runs started, of all claims / claims in a pack",
    ),
    _Rule(
        "reproduction_rate",
        "ratio",
        ("reruns",),
        count_reproduced,
        ">= 0.95",
        "reruns with equal decisions / comparable reruns that reached one",
    ),
    _Rule(
        "within_tolerance_rate",
        "ratio",
        ("reruns",),
        count_within_tolerance,
        None,
        "reruns within tolerance / comparable reruns with numbers",
    ),
    _Rule(
        "four_eyes_coverage",
        "ratio",
        ("approvals",),
        count_four_eyes,
        ">= 1",
        "packs signed by a reviewer who did not prepare them / signed packs",
    ),
    _Rule(
        "median_review_time",
        "h",
        ("approvals",),
        count_review_h,
        None,
        "from the preparer's signature to the first reviewer's, median over packs",
    ),
    _Rule(
        "stale_evidence",
        "ratio",
        ("packs",),
        count_stale,
        "<= 0",
        "active packs that have expired or have an open trigger / active packs",
    ),
    _Rule(
        "unanchored_events",
        "count",
        ("log",),
        count_unanchored_events,
        f"<= {ANCHOR_EVENTS}",
        "events since the last external checkpoint; all, where there is none",
    ),
    _Rule(
        "unanchored_s",
        "s",
        ("log",),
        count_unanchored_s,
        f"<= {ANCHOR_S}",
        "time since the last external checkpoint; since the log began, where there is none",
    ),
    _Rule(
        "log_verification_age",
        "s",
        ("log",),
        count_verified_s,
        f"<= {VERIFY_S}",
        "time since the whole log was last checked",
    ),
)
