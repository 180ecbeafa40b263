"""A policy in words: what each criterion asks, when it is met, and whose judgement its threshold is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.evidence.report.points import MEASURES, UNASKED
from audit_core.governance.policy import Policy, ThresholdSource

FIXED = {
    "integrity": "Is the pack complete, and does its verdict follow from its numbers?",
    "four_eyes": "Did different people prepare, review and approve it, with signatures of trusted keys?",
    "prereg_frozen_before_run": "Was the claim locked before its first run, without a deviation since?",
    "attempts_disclosed": "Does the log show every attempt, without a gap?",
    "rerun": "Did a rerun reach the same decision?",
}
"""Criterion without a threshold → its question; the gate or the pack's documents answer it."""
SOURCES = {
    ThresholdSource.DEFAULT: "this project's authors: replace it by your own",
    ThresholdSource.ORGANISATION: "your organisation",
    ThresholdSource.REGULATOR: "a regulator",
}
"""Whose judgement a threshold is."""
_OF_CLAIMS = {"necessity": "claims that parts are needed", "sufficiency": "claims that parts are enough"}
_BOUNDS = {
    "lower": "the lower end of the {level:.0%} interval",
    "upper": "the upper end of the {level:.0%} interval",
    "estimate": "the number itself, and its interval if it has one,",
}


@dataclass(frozen=True)
class CriterionWords:
    """One criterion for a reader."""

    name: str
    question: str
    rule: str
    """When it is met."""
    applies_to: str
    source: str
    """Whose judgement the threshold is; empty for a fixed question."""
    why: str
    is_required: bool


def describe_policy(policy: Policy) -> tuple[CriterionWords, ...]:
    """Every criterion, required ones first, in the policy's order."""
    table = policy.resolved()
    names = (*policy.required, *policy.optional)
    return tuple(_describe(name, table, is_required=name in policy.required) for name in names)


def _describe(name: str, table: Mapping[str, Any], *, is_required: bool) -> CriterionWords:
    if name in FIXED:
        return CriterionWords(name, FIXED[name], "the answer is yes", "every claim", "", "", is_required)
    is_of_claims = name in table["criteria"]
    kept: Mapping[str, Any] = table["criteria" if is_of_claims else "answers"][name]
    question = (
        MEASURES.get(kept["metric"]) or UNASKED.get(kept["metric"], kept["metric"])
        if is_of_claims
        else f"{kept['number']} of the audit {kept['audit']} ({kept['evidence']})"
    )
    applies = ", ".join(
        _OF_CLAIMS.get(kind, f"claims of {kind.replace('_', ' ')}") for kind in kept.get("claim_kind", ())
    )
    source = SOURCES[ThresholdSource(kept["source"])]
    return CriterionWords(
        name,
        question,
        describe_rule(kept),
        applies or "each frozen question of that audit",
        source,
        kept["why"],
        is_required,
    )


def describe_rule(kept: Mapping[str, Any]) -> str:
    """When a criterion with a threshold is met, such as "at least 0.3, by the lower end of the 95% interval, from 200 prompts or more"."""
    least = "at least" if kept["op"] == ">=" else "at most"
    parts = [f"{least} {kept['threshold']:g}, by {_BOUNDS[kept['bound']].format(level=kept['ci_level'])}".rstrip(",")]
    if kept.get("over_ablations"):
        parts.append(f"under each of these ablations: {', '.join(kept['over_ablations'])}; the worst decides")
    # The random baseline counts draws, every other criterion prompts or questions.
    unit = "draws" if kept.get("metric") == "faithfulness_percentile_vs_random" else "prompts"
    if kept.get("min_n"):
        parts.append(f"from {kept['min_n']:,} {unit} or more")
    if kept.get("min_templates"):
        parts.append(f"from {kept['min_templates']} templates or more")
    if kept.get("min_gap_logit"):
        parts.append(f"where the gap is {kept['min_gap_logit']:g} logits or more")
    return "; ".join(parts)
