"""Metrics that combine several estimates, with conservative bounds from their intervals (Bonferroni)."""

from __future__ import annotations

from collections.abc import Sequence

from audit_core.circuits.completeness import Gap
from audit_core.judging.faithfulness import UNIT
from audit_core.packs.metric_row import (
    BOOTSTRAP,
    NOT_ASKED,
    ClaimFindings,
    MetricRow,
    find_least_gap,
    join_levels,
    leave_empty,
)
from audit_core.stats.estimates import Estimate


def measure_ablation_range(found: ClaimFindings) -> MetricRow:
    """Range of the claim's effect over ablation families: largest minus smallest measured value.

    The families' joint bootstrap draws are not stored, so the interval is derived from the single intervals [l_i, u_i] and
    is wide. Upper end: the largest u_i − l_j over pairs i ≠ j. A larger true range needs the highest family above its u or
    the lowest below its l: two tails of 2.5 %, so this end covers at 95 % or more. Lower end: the largest l_i − u_j, at
    least 0; the pair is selected from the data, so this end needs all intervals to cover. The stated level is for both
    ends, by Bonferroni: 1 − Σ (1 − level), 0.85 for three intervals at 0.95.

    Off-distribution families are included: excluding one could only narrow the range.
    """
    if found.test is None:
        return leave_empty(found, "ablation_range", UNIT, NOT_ASKED)
    families = {name: one for name, one in found.test.families.items() if one is not None}
    if len(families) < 2:
        return leave_empty(found, "ablation_range", UNIT, "fewer than two ablation families could be measured")
    estimates = list(families.values())
    values = [one.value for one in estimates]
    ends = [(one.low, one.high) for one in estimates if one.low is not None and one.high is not None]
    low = high = level = None
    if len(ends) == len(estimates):
        pairs = [(a, b) for at, a in enumerate(ends) for other, b in enumerate(ends) if at != other]
        low, high = max(0.0, *(a[0] - b[1] for a, b in pairs)), max(a[1] - b[0] for a, b in pairs)
        level = join_levels(estimates)
    if level is None:
        low = high = None
    return MetricRow(
        "ablation_range",
        found.claim_id,
        UNIT,
        None,
        max(values) - min(values),
        min(one.n for one in estimates),
        _count_templates(estimates),
        low,
        high,
        level,
        None if level is None else f"from the intervals of {', '.join(families)} by Bonferroni; not a joint bootstrap",
        denominator_abs_min=find_least_gap(found.claim),
    )


def measure_incompleteness(found: ClaimFindings) -> MetricRow:
    """Largest absolute gap over all tested subsets; stricter than their mean.

    Upper end: the furthest end of any subset's interval; it covers the subset with the truly largest gap among those fixed
    in advance, and the greedy subsets can only raise it. Lower end: from the largest subset fixed in advance, because the
    subset with the largest gap is selected from the data. Two intervals must cover, so the level is 1 − 2 (1 − level).
    """
    if found.circuit is None:
        return leave_empty(found, "incompleteness", UNIT, NOT_ASKED)
    gaps = found.circuit.gaps
    fixed = [gap for gap in gaps if gap.how != "greedy"]
    if not fixed:
        return leave_empty(found, "incompleteness", UNIT, "no subset was fixed in advance")
    sizes = [_size(gap) for gap in gaps]
    firm = max(fixed, key=lambda gap: (len(gap.subset), gap.subset))
    ends, least = [size for size in sizes if size is not None], _size(firm)
    level = join_levels([firm.found.estimate] * 2) if least is not None and len(ends) == len(gaps) else None
    return MetricRow(
        "incompleteness",
        found.claim_id,
        UNIT,
        firm.found.conditions.ablation,
        max(abs(gap.found.estimate.value) for gap in gaps),
        firm.found.estimate.n,
        firm.found.estimate.templates,
        None if level is None or least is None else least[0],
        None if level is None else max(end for _, end in ends),
        level,
        None if level is None else f"{BOOTSTRAP}; widest of {len(gaps)} subsets above, the largest fixed one below",
        denominator_abs_min=find_least_gap(found.claim),
    )


def measure_transfer(found: ClaimFindings) -> MetricRow:
    """Effect on the worst held-out template / the circuit's effect on all prompts.

    The templates' intervals are simultaneous, so their lowest ends bound the truly worst template. Each end of the ratio
    divides by the less favourable end of the circuit's own interval; both sets of intervals must cover, so the level is 1 − Σ (1 − level).
    """
    metric, unit = "transfer_ratio", "ratio of two fractions of the clean–empty gap"
    if found.transfer is None or found.circuit is None:
        return leave_empty(found, metric, unit, NOT_ASKED)
    if all(set(fold.components) != found.parts for fold in found.transfer.folds):
        return leave_empty(
            found, metric, unit, "with any template held out, the search finds a different circuit than the claim names"
        )
    groups, whole = found.transfer.found_elsewhere, found.circuit.sufficiency
    if groups.untested or groups.worst is None:
        why = f"templates not tested, as they have no clean–empty gap: {', '.join(groups.untested)[:200] or 'all templates'}"
        return leave_empty(found, metric, unit, why)
    if whole.conditions.ablation != found.transfer.conditions.ablation:
        return leave_empty(
            found, metric, unit, "held-out templates and the circuit were measured under different ablations"
        )
    own, worst = whole.estimate, groups.estimates[groups.worst]
    if own.value <= 0 or (own.low is not None and own.low <= 0):
        return leave_empty(found, metric, unit, "the circuit's own effect is not distinguishable from zero")
    lows = [one.low for one in groups.estimates if one.low is not None]
    highs = [one.high for one in groups.estimates if one.high is not None]
    low = high = level = None
    if len(lows) == len(highs) == len(groups.estimates) and own.low is not None and own.high is not None:
        low = min(lows) / (own.high if min(lows) > 0 else own.low)
        high = min(highs) / (own.low if min(highs) > 0 else own.high)
        level = join_levels([*groups.estimates, own])
    return MetricRow(
        metric,
        found.claim_id,
        unit,
        whole.conditions.ablation,
        worst.value / own.value,
        own.n,
        len(groups.names),
        low,
        high,
        level,
        None if level is None else "simultaneous intervals of the templates over the circuit's own, by Bonferroni",
        denominator_abs_min=find_least_gap(found.claim),
    )


def _count_templates(estimates: Sequence[Estimate]) -> int | None:
    counts = [one.templates for one in estimates if one.templates is not None]
    return min(counts) if len(counts) == len(estimates) else None


def _size(gap: Gap) -> tuple[float, float] | None:
    """Interval of a gap's absolute value; None without an interval."""
    low, high = gap.found.estimate.low, gap.found.estimate.high
    return None if low is None or high is None else (max(0.0, low, -high), max(abs(low), abs(high)))
