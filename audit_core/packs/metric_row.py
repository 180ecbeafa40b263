"""One row of a run's metrics, and the results that the rows are read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from audit_core.audits.circuit import CircuitResult
from audit_core.audits.claim_test import ClaimTestResult
from audit_core.audits.stability import StabilityResult
from audit_core.audits.transfer import TransferResult
from audit_core.claim import Claim
from audit_core.effect import get_metric
from audit_core.stats.estimates import Estimate

NOT_ASKED = "not asked"
BOOTSTRAP = "widest of Student's t and two studentised bootstraps over templates"


@dataclass(frozen=True)
class MetricRow:
    """One line of a run's `metrics.json`.

    Raises:
        ValueError: neither a number nor a reason, or both; an interval with one end; an interval without level and method.
    """

    metric: str
    claim_id: str
    unit: str
    ablation: str | None = None
    estimate: float | None = None
    n: int | None = None
    """Number of prompts; for the random baseline, number of draws."""
    n_templates: int | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_level: float | None = None
    ci_method: str | None = None
    reason: str | None = None
    """Why the number is missing."""
    denominator_abs_min: float | None = None
    """Lower bound of the mean gap in the fraction's denominator, in the metric's unit; smaller gaps are refused."""

    def __post_init__(self) -> None:
        if (self.estimate is None) is not bool(self.reason):
            raise ValueError(f"{self.metric}: either a number or a reason.")
        interval = (self.ci_low, self.ci_high, self.ci_level)
        if any(end is None for end in interval) and interval != (None, None, None):
            raise ValueError(f"{self.metric}: an interval with one end.")
        if self.ci_low is not None and not self.ci_method:
            raise ValueError(f"{self.metric}: an interval without its method.")

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class ClaimFindings:
    """Results of the audits of one claim; None for an audit that was not run."""

    claim_id: str
    claim: Claim
    test: ClaimTestResult | None = None
    circuit: CircuitResult | None = None
    stability: StabilityResult | None = None
    transfer: TransferResult | None = None

    @property
    def parts(self) -> frozenset[str]:
        """Names of the claim's components."""
        return frozenset(str(part) for part in self.claim.components)


def make_row(found: ClaimFindings, metric: str, estimate: Estimate, ablation: str) -> MetricRow:
    return MetricRow(
        metric,
        found.claim_id,
        estimate.unit,
        ablation,
        estimate.value,
        estimate.n,
        estimate.templates,
        estimate.low,
        estimate.high,
        estimate.level,
        None if estimate.level is None else BOOTSTRAP,
        denominator_abs_min=find_least_gap(found.claim),
    )


def leave_empty(found: ClaimFindings, metric: str, unit: str, reason: str, ablation: str | None = None) -> MetricRow:
    return MetricRow(metric, found.claim_id, unit, ablation, reason=reason)


def find_least_gap(claim: Claim) -> float:
    return float(get_metric(claim.metric).min_gap)


def join_levels(estimates: Sequence[Estimate]) -> float | None:
    """Joint confidence level of several intervals, by Bonferroni; None where it is 0.5 or less."""
    levels = [one.level for one in estimates if one.level is not None]
    level = round(1 - sum(1 - each for each in levels), 12)
    return level if len(levels) == len(estimates) and level > 0.5 else None
