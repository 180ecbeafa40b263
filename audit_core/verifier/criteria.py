"""Evaluation of policy criteria on intervals: one implementation for the product, the verifier and the gate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

from audit_core.verifier.answer_numbers import find_answer_numbers
from audit_core.verifier.policy_table import (
    GATE_CRITERIA,
    PROCESS_CRITERIA,
    STRICT_AGGREGATE,
    resolve_policy,
)

MEETS = "MEETS"
DOES_NOT_MEET = "DOES_NOT_MEET"
INCONCLUSIVE = "INCONCLUSIVE"
NOT_EVALUATED = "NOT_EVALUATED"
INTEGRITY_FAILED = "INTEGRITY_FAILED"
WORST_FIRST = (INTEGRITY_FAILED, DOES_NOT_MEET, NOT_EVALUATED, INCONCLUSIVE, MEETS)
PREREGISTERED = "prereg_frozen_before_run"
"""Required of every claim, whether or not a policy lists it: without it a claim is exploratory."""
ROLE_KINDS = {"necessary": "necessity", "sufficient": "sufficiency"}
P_VALUE_METRICS = ("faithfulness_percentile_vs_random",)
"""Metrics of the form 1 − p, which Holm's step-down adjusts."""
_LIVE_STATUS = ("preregistered", "tested")
_ROUNDING = 1e-12
"""Tolerance: p-values of 199 draws are exact fractions, their floats are not."""


class DocumentsMalformed(ValueError):
    """Claims, metrics or facts do not have the format of a pack."""


def evaluate_policy(
    policy: dict[str, Any],
    claims: list[dict[str, Any]],
    metrics: list[dict[str, Any]],
    facts: dict[str, Any],
    answers: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Evaluate every claim under each criterion for its kind and every answer under those of its audit, except what only a gate can answer.

    Args:
        policy: as `resolve_policy` takes it.
        claims: items of `claims.json`.
        metrics: rows of every run's `metrics.json`; several rows of one claim, metric and ablation all count.
        facts: per claim id, {criterion: {result, reason}} of the process criteria.
        answers: results of audits, as `derive_answers` makes them.

    Returns:
        {criteria: [row], overall, coverage: {required, evaluated}}; a row is {id, claim_id, metric, comparator, threshold,
        estimate, ci_low, ci_high, n, n_required, result, reason}. The claim_id of an answer's row is the id of its run; it is
        None where the policy asks for an answer that there is not.

    Raises:
        PolicyMalformed: see `resolve_policy`.
        DocumentsMalformed: claims, metrics or facts without the format of a pack.
    """
    table = resolve_policy(policy)
    _check_documents(claims, metrics, facts)
    rows: list[dict[str, Any]] = []
    for claim in claims:
        own = [row for row in metrics if row.get("claim_id") == claim["claim_id"]]
        rows += _evaluate_claim(table, claim, own, facts.get(claim["claim_id"], {}))
    for answer in answers:
        rows += _evaluate_answer(table, answer)
    rows += _list_unanswered(table, answers)
    if table["gate"]["multiplicity"]["method"] == "holm":
        _step_down_by_claim(rows, table["gate"]["multiplicity"]["alpha"])
    required = [row for row in rows if is_required(table, row["id"])]
    evaluated = sum(row["result"] != NOT_EVALUATED for row in required)
    return {
        "criteria": rows,
        "overall": find_worst(row["result"] for row in required),
        "coverage": {"required": len(required), "evaluated": evaluated},
    }


def find_worst(results: Iterable[str]) -> str:
    """Return the worst of several results; NOT_EVALUATED if there are none."""
    found = set(results)
    return next((result for result in WORST_FIRST if result in found), NOT_EVALUATED)


def is_required(table: dict[str, Any], criterion: str) -> bool:
    """Check whether a row counts: all rows except those the policy lists as optional, including rows added here."""
    return criterion == PREREGISTERED or criterion not in table["gate"]["optional"]


def judge_interval(
    comparator: str, threshold: float, estimate: float, low: float | None, high: float | None
) -> tuple[str, str | None]:
    """Apply the three-valued rule: the whole interval lies on one side of the threshold, or the result is inconclusive.

    Args:
        low, high: ends of the interval; both None if the number has no interval, which compares the estimate itself.
    """
    low, high = estimate if low is None else low, estimate if high is None else high
    inside, outside = (
        (low >= threshold, high < threshold) if comparator == ">=" else (high <= threshold, low > threshold)
    )
    if inside:
        return MEETS, None
    if outside:
        return DOES_NOT_MEET, None
    return INCONCLUSIVE, "the interval reaches across the threshold"


def find_kind(claim: dict[str, Any]) -> str | None:
    """Return a claim's kind from its role; None if role and stated kind contradict each other."""
    stated, role = claim.get("kind"), claim["claim"].get("role")
    by_role = ROLE_KINDS.get(role) if isinstance(role, str) else None
    if by_role is None or stated is None:
        return by_role or (stated if isinstance(stated, str) else None)
    return by_role if stated == by_role else None


def _evaluate_claim(
    table: dict[str, Any], claim: dict[str, Any], own: list[dict[str, Any]], facts: dict[str, Any]
) -> list[dict[str, Any]]:
    claim_id, kind = claim["claim_id"], find_kind(claim)
    standing, why = _judge_standing(claim, facts)
    rows = [_make_row(PREREGISTERED, claim_id, standing, why)]
    listed = [name for name in (*table["gate"]["required"], *table["gate"]["optional"]) if name not in GATE_CRITERIA]
    for name in listed:
        if name in PROCESS_CRITERIA and name != PREREGISTERED:
            rows.append(_make_row(name, claim_id, *_read_fact(facts, name)))
    strayed = _find_mismatch(table, claim, kind)
    measured = (
        [] if strayed else [n for n in listed if n in table["criteria"] and kind in table["criteria"][n]["claim_kind"]]
    )
    for name in measured:
        rows.append(_evaluate_number(name, table["criteria"][name], claim, own, standing))
    if not any(name in table["gate"]["required"] for name in measured):
        reason = strayed or f"no required criterion of the policy is about claims of kind {kind}"
        rows.append(_make_row("applies_to", claim_id, NOT_EVALUATED, reason))
    return rows


def _judge_standing(claim: dict[str, Any], facts: dict[str, Any]) -> tuple[str, str | None]:
    """Return why a claim is exploratory: not frozen before its run, or changed since; None if neither."""
    result, why = _read_fact(facts, PREREGISTERED)
    if result == MEETS and "deviation" in facts:
        result, why = _read_fact(facts, "deviation")
        why = None if result == MEETS else f"affected by a deviation: {why}"
    if result == MEETS and claim.get("status") not in _LIVE_STATUS:
        return INCONCLUSIVE, f"the claim's status is {claim.get('status')!r}"[:80]
    return result, why


def _find_mismatch(table: dict[str, Any], claim: dict[str, Any], kind: str | None) -> str | None:
    """Return why the policy does not apply to a claim; None if it applies."""
    scope, models = claim.get("scope"), table["applies_to"]["model"]
    model = scope.get("model_id") if isinstance(scope, dict) else None
    if kind is None:
        return "the claim's role and its kind contradict each other, or neither is known"
    if kind not in table["applies_to"]["claim_kind"]:
        return f"the policy does not apply to claims of kind {kind[:40]}"
    if "*" not in models and model not in models:
        return "the policy does not apply to this model"
    return None


def _evaluate_number(
    name: str, criterion: dict[str, Any], claim: dict[str, Any], own: list[dict[str, Any]], standing: str
) -> dict[str, Any]:
    wanted = criterion["over_ablations"] or [None]
    findings: list[tuple[str, str | None, dict[str, Any]]] = []
    for ablation in wanted:
        found = [row for row in own if row.get("metric") == criterion["metric"] and _is_under(row, ablation, claim)]
        of = "" if ablation is None else f"{ablation}: "
        if not found:
            findings.append((NOT_EVALUATED, f"{of}the pack holds no row of {criterion['metric']}", {}))
        for row in found:
            result, why = _judge_metric_row(criterion, row)
            findings.append((result, None if why is None else of + why, row))
    result = find_worst(result for result, _, _ in findings)
    reasons = [why for found, why, _ in findings if found == result and why is not None]
    if result == MEETS and standing != MEETS:
        result, reasons = (
            INCONCLUSIVE,
            ["exploratory: the number would meet the threshold, and the claim was not fixed before"],
        )
    row = _make_row(name, claim["claim_id"], result, "; ".join(dict.fromkeys(reasons)) or None)
    measured = [found for _, _, found in findings if _is_number(found.get("estimate"))]
    return row | {
        "metric": criterion["metric"],
        "comparator": criterion["op"],
        "threshold": criterion["threshold"],
        "n_required": criterion["min_n"],
        **_show_least_flattering(criterion["op"], measured),
    }


def list_answer_rows(table: dict[str, Any], answer: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the numbers of an answer that a resolved policy compares, by criterion, as rows of `metrics.json`."""
    criteria = table.get("answers", {})
    return {
        name: [
            row | {"claim_id": answer["run_id"], "metric": _name_number(criteria[name])}
            for row in find_answer_numbers(answer["result"], criteria[name]["number"])
        ]
        for name in (*table["gate"]["required"], *table["gate"]["optional"])
        if name in criteria and criteria[name]["audit"] == answer["audit"]
    }


def _name_number(criterion: dict[str, Any]) -> str:
    return f"{criterion['audit']}: {criterion['number']} ({criterion['evidence']})"


def _evaluate_answer(table: dict[str, Any], answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return no rows for an answer of an audit that the policy has no threshold for."""
    found = list_answer_rows(table, answer)
    status, why = _read_fact({PREREGISTERED: answer["freeze"]}, PREREGISTERED)
    rows = [_make_row(PREREGISTERED, answer["run_id"], status, why)] if found else []
    for name, numbers in found.items():
        # A ratio's denominator is a matter of claims: no audit reports one beside its numbers.
        criterion = table["answers"][name] | {"min_gap_logit": None}
        judged = [_judge_metric_row(criterion, row) for row in numbers]
        result = find_worst(one for one, _ in judged)
        reasons = [why for one, why in judged if one == result and why is not None]
        if result == MEETS and status != MEETS:
            result = INCONCLUSIVE
            reasons = ["exploratory: the number would meet the threshold, and the question was not fixed before"]
        measured = [row for row in numbers if _is_number(row["estimate"])]
        row = _make_row(name, answer["run_id"], result, "; ".join(dict.fromkeys(reasons)) or None)
        compared = {"comparator": criterion["op"], "threshold": criterion["threshold"]}
        shown = _show_least_flattering(criterion["op"], measured)
        rows.append(row | compared | shown | {"metric": numbers[0]["metric"], "n_required": criterion["min_n"]})
    return rows


def _list_unanswered(table: dict[str, Any], answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    asked = {answer["audit"] for answer in answers}
    return [
        _make_row(name, None, NOT_EVALUATED, f"the pack has no answer of the audit {criterion['audit']}")
        | {"metric": _name_number(criterion), "comparator": criterion["op"], "threshold": criterion["threshold"]}
        for name, criterion in table.get("answers", {}).items()
        if criterion["audit"] not in asked
    ]


def _is_under(row: dict[str, Any], ablation: str | None, claim: dict[str, Any]) -> bool:
    """Check whether a row has this ablation; by default, the claim's own or none."""
    if ablation is not None:
        return row.get("ablation") == ablation
    return row.get("ablation") is None or row.get("ablation") == claim["claim"].get("ablation")


def _judge_metric_row(criterion: dict[str, Any], row: dict[str, Any]) -> tuple[str, str | None]:
    estimate, low, high, why = row.get("estimate"), row.get("ci_low"), row.get("ci_high"), row.get("reason")
    if estimate is None:
        return NOT_EVALUATED, why[:300] if isinstance(why, str) and why else "no number and no reason"
    ends = [end for end in (low, high) if end is not None]
    is_sound = why is None and all(map(_is_number, (estimate, *ends))) and len(ends) in (0, 2) and ends == sorted(ends)
    if not is_sound:
        return NOT_EVALUATED, "no measurement: a number that is none, half an interval, or a number with a reason"
    lacking = _find_lack(criterion, row, has_interval=bool(ends))
    if lacking:
        return INCONCLUSIVE, lacking
    slack = _ROUNDING * max(1.0, abs(estimate))
    if ends and not low - slack <= estimate <= high + slack:
        return INCONCLUSIVE, "the estimate lies outside its own interval"
    return judge_interval(criterion["op"], criterion["threshold"], estimate, low, high)


def _find_lack(criterion: dict[str, Any], row: dict[str, Any], *, has_interval: bool) -> str | None:
    """Return which requirement a measurement does not meet, regardless of its value; None if it meets all."""
    for key, column in (("min_n", "n"), ("min_templates", "n_templates"), ("min_gap_logit", "denominator_abs_min")):
        least, found = criterion[key], row.get(column)
        if least is not None and not (_is_number(found) and found >= least):
            return f"{column} is {found if _is_number(found) else 'not stated'}, {least:g} needed"
    level = row.get("ci_level")
    if criterion["bound"] != "estimate" and not has_interval:
        return "the number has no interval"
    if has_interval and not (_is_number(level) and criterion["ci_level"] - _ROUNDING <= level < 1):
        return (
            f"the interval's level is {level if _is_number(level) else 'not stated'}, {criterion['ci_level']:g} needed"
        )
    return None


def _show_least_flattering(comparator: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    pick = min if STRICT_AGGREGATE[comparator] == "min" else max
    shown: dict[str, Any] = {}
    for key in ("estimate", "ci_low", "ci_high"):
        values = [value for row in rows if _is_number(value := row.get(key))]
        shown[key] = pick(values) if values and len(values) == len(rows) else None
    counts = [count for row in rows if _is_number(count := row.get("n"))]
    return shown | {"n": min(counts) if counts and len(counts) == len(rows) else None}


def _step_down_by_claim(rows: list[dict[str, Any]], alpha: float) -> None:
    """Apply Holm's step-down over a pack's claims for metrics of the form 1 − p; a missing number counts as p = 1.

    Source: Holm 1979.
    """
    for name in dict.fromkeys(row["id"] for row in rows if row["metric"] in P_VALUE_METRICS):
        family = [row for row in rows if row["id"] == name]
        family.sort(key=lambda row: -(row["estimate"] if _is_number(row["estimate"]) else 0.0))
        still_stands = True
        for at, row in enumerate(family):
            least = 1 - alpha / (len(family) - at)
            still_stands &= _is_number(row["estimate"]) and row["estimate"] >= least - _ROUNDING
            if not still_stands and row["result"] == MEETS:
                row["result"] = INCONCLUSIVE
                row["reason"] = (
                    f"not among the {len(family)} claims of this pack: Holm's step-down asks for {least:.4f}"
                )


def _read_fact(facts: dict[str, Any], name: str) -> tuple[str, str | None]:
    found = facts.get(name)
    if not isinstance(found, dict) or found.get("result") not in (MEETS, DOES_NOT_MEET, INCONCLUSIVE, NOT_EVALUATED):
        return NOT_EVALUATED, f"the pack does not say: {name}"
    why = found.get("reason")
    return found["result"], why[:300] if isinstance(why, str) and why else None


def _make_row(name: str, claim_id: str | None, result: str, reason: str | None) -> dict[str, Any]:
    empty = ("metric", "comparator", "threshold", "estimate", "ci_low", "ci_high", "n", "n_required")
    return {"id": name, "claim_id": claim_id, **dict.fromkeys(empty), "result": result, "reason": reason}


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _check_documents(claims: Any, metrics: Any, facts: Any) -> None:
    if not isinstance(claims, list) or not isinstance(metrics, list) or not isinstance(facts, dict):
        raise DocumentsMalformed("claims and metrics are lists, facts an object")
    if not all(isinstance(row, dict) for row in (*claims, *metrics, *facts.values())):
        raise DocumentsMalformed("every claim, metric row and fact is an object")
    ids = [claim.get("claim_id") for claim in claims]
    if not all(isinstance(found, str) and found for found in ids) or len(set(ids)) != len(ids):
        raise DocumentsMalformed("every claim has a unique id")
    if not all(isinstance(claim.get("claim"), dict) for claim in claims):
        raise DocumentsMalformed("every claim states its role and ablation under the key claim")
