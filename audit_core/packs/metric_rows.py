"""Metric rows of one claim for policies; an audit that was not run gives a row with a reason and no number."""

from __future__ import annotations

from dataclasses import replace

from audit_core.claim import Role
from audit_core.errors import ClaimRefused
from audit_core.judging.faithfulness import UNIT
from audit_core.judging.trial import FAMILIES
from audit_core.judging.verdict import MOST_SHIFT
from audit_core.packs.metric_bounds import measure_ablation_range, measure_incompleteness, measure_transfer
from audit_core.packs.metric_row import NOT_ASKED, ClaimFindings, MetricRow, leave_empty, make_row
from audit_core.stats.measurement import Measurement

OWN_METRIC = {Role.SUFFICIENT: "faithfulness_ld", Role.NECESSARY: "necessity_drop"}
METRIC_OF_POLICIES = "logit_difference"
"""All rows are fractions of logit differences; a claim in another metric has no numbers here."""
_SHARE = "share of ranks"


def list_metric_rows(found: ClaimFindings) -> tuple[MetricRow, ...]:
    """Every metric of the default policy, once per ablation family where it depends on one.

    Raises:
        ClaimRefused: the results are about other components than the claim's.
    """
    if found.circuit is not None and {worth.component for worth in found.circuit.worths} != found.parts:
        raise ClaimRefused(
            "The circuit results and the claim name different components.",
            wanted=f"results about {', '.join(sorted(found.parts))[:200]}.",
            remedy="run the audits on the claim's components.",
        )
    if found.claim.metric != METRIC_OF_POLICIES:
        why = f"the claim is measured by {found.claim.metric}, and this metric by {METRIC_OF_POLICIES}"
        unasked = replace(found, test=None, circuit=None, stability=None, transfer=None)
        return tuple(replace(row, reason=why) for row in _list_rows(unasked))
    return _list_rows(found)


def _list_rows(found: ClaimFindings) -> tuple[MetricRow, ...]:
    return (
        *_list_effects(found),
        _rank_among_random(found),
        measure_ablation_range(found),
        measure_incompleteness(found),
        _read_stability(found),
        measure_transfer(found),
        leave_empty(found, "ece_debiased", "share", "not measured by this version"),
    )


def _list_effects(found: ClaimFindings) -> list[MetricRow]:
    """Sufficiency and necessity per ablation family: the claim's role from its test, the other from the circuit audit."""
    rows = []
    for role, metric in OWN_METRIC.items():
        for family in FAMILIES:
            if role is found.claim.role:
                rows.append(_read_family(found, metric, family.value))
            else:
                rows.append(_read_beside(found, role, metric, family.value))
    return rows


def _read_family(found: ClaimFindings, metric: str, family: str) -> MetricRow:
    test = found.test
    if test is None:
        return leave_empty(found, metric, UNIT, NOT_ASKED, family)
    estimate = test.families.get(family)
    if estimate is None:
        return leave_empty(found, metric, UNIT, test.not_measured.get(family) or NOT_ASKED, family)
    shift = test.drift.norms.get(family) if test.drift is not None else None
    if shift is not None and abs(shift.value) > MOST_SHIFT:
        why = f"off_distribution: {shift.value:+.1f} standard deviations from unedited runs, {MOST_SHIFT:g} allowed"
        return leave_empty(found, metric, UNIT, why, family)
    return make_row(found, metric, estimate, family)


def _read_beside(found: ClaimFindings, role: Role, metric: str, family: str) -> MetricRow:
    measured: Measurement | None = None
    if found.circuit is not None:
        measured = found.circuit.sufficiency if role is Role.SUFFICIENT else found.circuit.necessity
    if measured is None or measured.conditions.ablation != family:
        return leave_empty(found, metric, UNIT, NOT_ASKED, family)
    return make_row(found, metric, measured.estimate, family)


def _rank_among_random(found: ClaimFindings) -> MetricRow:
    """Share of permutation draws with a smaller effect, counting the claim as a draw: 1 − p; an exact test, no interval."""
    metric, null = "faithfulness_percentile_vs_random", None if found.test is None else found.test.null
    if found.test is None:
        return leave_empty(found, metric, _SHARE, NOT_ASKED)
    if null is None or null.p is None or not null.values:
        return leave_empty(found, metric, _SHARE, "not drawn: the random baseline could no longer change the verdict")
    draws = len(null.values)
    as_much = round(null.p * (draws + 1)) - 1
    return MetricRow(metric, found.claim_id, _SHARE, found.claim.ablation.value, (draws - as_much) / (draws + 1), draws)


def _read_stability(found: ClaimFindings) -> MetricRow:
    if found.stability is None:
        return leave_empty(found, "core_jaccard", "Jaccard index", NOT_ASKED)
    one = found.stability
    if len(one.found) != len(found.claim.components):
        return leave_empty(found, "core_jaccard", one.unit, "measured on circuits of another size than the claim's")
    if set(one.found) != found.parts:
        # Stability of a different circuit is no evidence for the claim's components.
        return leave_empty(
            found, "core_jaccard", one.unit, f"the search finds a different circuit: {', '.join(one.found)[:200]}"
        )
    return MetricRow(
        "core_jaccard", found.claim_id, one.unit, one.conditions.ablation, one.jaccard, one.n, one.n_templates
    )
