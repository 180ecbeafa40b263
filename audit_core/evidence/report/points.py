"""Points for and against a claim in plain sentences, from its results; and what was not tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from audit_core.evidence.report.blocks import Line, Span, line, theirs
from audit_core.evidence.report.cells import cell
from audit_core.evidence.report.pack_view import PackView, Run, as_list, as_table, as_tables
from audit_core.evidence.report.quantity import (
    Quantity,
    format_bound,
    format_interval,
    number,
    read_estimate,
    read_metric,
)
from audit_core.evidence.report.words_for import STATES, Word, compare, find_word
from audit_core.stats.multiplicity import step_down

Row = Mapping[str, Any]
MEASURES = {
    "necessity_drop": "Loss of the effect without the components",
    "faithfulness_ld": "Effect kept by the components alone",
    "faithfulness_percentile_vs_random": "Share of random sets with a smaller effect",
    "ablation_range": "Difference between the ablations",
    "incompleteness": "Largest gap found when parts are removed (incompleteness)",
    "core_jaccard": "Overlap of the circuit found on other samples of prompts (Jaccard)",
    "transfer_ratio": "Effect kept on templates that the search did not see",
}
"""Metric → what it is, in words."""
UNASKED = {
    "necessity_drop": "Necessity",
    "faithfulness_ld": "Sufficiency",
    "faithfulness_percentile_vs_random": "Comparison with random sets",
    "ablation_range": "Agreement of the ablations",
    "incompleteness": "Completeness: gaps when parts are removed",
    "core_jaccard": "Stability: the same components on other samples of prompts",
    "transfer_ratio": "Transfer to other templates",
    "ece_debiased": "Calibration of the model's probabilities",
    "rerun": "A rerun on another machine",
}
"""Metric or criterion → what is missing without it."""
PROMPTS_ALIKE = "One prompt set and one model: nothing is known about others."


@dataclass(frozen=True)
class Measured:
    """Numbers of one claim's last run."""

    role: str
    names: str
    """Components of the claim."""
    decides: str
    """The ablation that decides."""
    delta: float | None
    alpha: float
    families: tuple[tuple[str, Quantity], ...]
    """Effect per ablation, fraction of the clean–empty gap."""
    p: float | None
    """Share of random sets with at least this effect; None if none were drawn."""
    draws: tuple[float, ...]
    repair: Row
    """Self-repair, as in `result.json`; empty if it was not measured."""
    rows: tuple[Row, ...]
    """All rows of `metrics.json`."""
    assumptions: tuple[Row, ...] = ()
    """What the causal reading rests on, as in `result.json`; empty in results that name nothing."""

    @property
    def bounds(self) -> list[tuple[float, str]]:
        """Dashed lines of the figure: δ, and −δ for a necessary claim."""
        if self.delta is None:
            return []
        return [(self.delta, "δ"), *([(-self.delta, "−δ")] if self.role == "necessary" else [])]

    def side_of(self, quantity: Quantity) -> str:
        """Return `for` if the whole interval is above δ, `against` if it is below, `open` if it includes δ."""
        if self.delta is None or quantity.low is None or quantity.high is None:
            return "open"
        return "for" if quantity.low > self.delta else "against" if quantity.high < self.delta else "open"


def list_for(found: Measured, criteria: Sequence[Row], word: Word) -> tuple[Line, ...]:
    """List points for the claim, strongest first."""
    points = _describe_effects(found, "for")
    if found.p is not None and found.p <= found.alpha:
        points.insert(1, _describe_draws(found))
    for row in criteria:
        # That the ablations agree speaks for a claim only if they agree with it.
        is_for = word.tone == "for" or row.get("metric") not in ("ablation_range", "core_jaccard")
        if is_for and _is_about(row) and row.get("result") == "MEETS":
            points.append(_describe_criterion(row))
    return tuple(points)


def list_against(
    found: Measured, criteria: Sequence[Row], word: Word, pack: PackView, claim_id: str, last: Run | None
) -> tuple[Line, ...]:
    """List points against the claim, strongest first."""
    points = _describe_effects(found, "against") + _describe_effects(found, "open")
    if found.p is not None and found.p > found.alpha:
        points.append(_describe_draws(found))
    points += _describe_repair(found)
    points += [
        line(theirs(row.get("found")))
        for row in found.assumptions
        if row.get("status") == "doubtful" and row.get("name") != "no interference"
    ]
    for result, words in (("DOES_NOT_MEET", ""), ("INCONCLUSIVE", "Open: ")):
        # An open row may lie within its bound and still lack what the policy needs to say so.
        about = [row for row in criteria if _is_about(row) and row.get("result") == result]
        points += [line(words, *_describe_criterion(row)) for row in about]
    if not points and last is not None and word.tone != "for":
        points.append(line(f"The verdict is: {word.text.lower()}."))
    return (*points, *_describe_history(pack, claim_id, last))


def list_untested(found: Measured, criteria: Sequence[Row], pack: PackView) -> tuple[Line, ...]:
    """List what the run did not measure, then what the preparer declares as not assessed."""
    missing: dict[str, Line] = {}
    families = [line("Ablation ", theirs(name), f": {q.reason or 'no reason recorded'}.") for name, q in found.families if q.value is None]  # fmt: skip
    for row in found.rows:
        metric = str(row.get("metric"))
        if any(other.get("metric") == metric and other.get("estimate") is not None for other in found.rows):
            continue
        if metric in UNASKED:
            missing.setdefault(metric, _explain(UNASKED[metric], row.get("reason")))
    if any(row.get("id") == "rerun" and row.get("result") == "NOT_EVALUATED" for row in criteria):
        missing["rerun"] = _explain(UNASKED["rerun"], None)
    assumed = [line(theirs(row.get("found"))) for row in found.assumptions if row.get("status") == "not checked"]
    named = {UNASKED[key] for key in missing}
    declared = [cell(one) for one in as_list(pack.header.get("not_assessed")) if str(one).rstrip(".") not in named]
    return (*families, *missing.values(), *assumed, line(PROMPTS_ALIKE), *declared)


def describe_family(claim: Row, result: Row) -> tuple[str, Line] | None:
    """Name the other claims that were frozen on the same prompts; and whether the verdict holds among all of them.

    Returns:
        `for`, `against` or `open`, and the sentence; None without other claims.
    """
    others = as_tables(claim.get("family"))
    if not others:
        return None
    count = "1 other claim was" if len(others) == 1 else f"{len(others)} other claims were"
    spans: list[Span] = []
    for at, row in enumerate(others):
        withdrawn = ", withdrawn" if row.get("is_withdrawn") else ""
        spans += line(", " if at else "", theirs(row.get("claim_id")), " (", theirs(row.get("state")), f"{withdrawn})")
    if result.get("state") in (None, "inconclusive"):
        return "open", line(f"{count} frozen on these prompts: ", *spans, ".")
    holds = [int(number(row.get("holds_among")) or 0) for row in (result, *others)]
    does_hold = step_down(holds)[0]
    among = f"Among all {len(holds)} the verdict {'holds' if does_hold else 'does not hold'} at Holm's level."
    return ("for" if does_hold else "against"), line(f"{count} frozen on these prompts: ", *spans, f". {among}")


def _explain(what: str, reason: Any) -> Line:
    if not reason or reason == "not asked":
        return line(f"{what}.")
    return line(f"{what}: ", theirs(reason), ".")


def _describe_effects(found: Measured, side: str) -> list[Line]:
    """Sentence about the deciding ablation, then one about the others on the same side of δ."""
    same = [(name, q) for name, q in found.families if q.value is not None and found.side_of(q) == side]
    deciding, others = [f for f in same if f[0] == found.decides], [f for f in same if f[0] != found.decides]
    bound = "δ" if found.delta is None else f"δ = {format_bound(found.delta)}"
    where = {"for": f"above {bound}", "against": f"below {bound}", "open": f"not clear of {bound}"}[side]
    points = []
    for name, quantity in deciding:
        points.append(line(f"{_spell_effect(found, quantity)} of the gap, {where} (", theirs(name), ", decides)."))  # fmt: skip
    if others:
        parts = [line(theirs(name), f" {format_interval(_compare(found, q))}") for name, q in others]
        spans = [part for i, one in enumerate(parts) for part in (line("; ", *one) if i else one)]
        points.append(line("Also " if deciding else "But ", where, ": ", *spans, "."))
    return points


def _spell_effect(found: Measured, quantity: Quantity) -> str:
    if found.role != "necessary":
        return f"Alone, it keeps {format_interval(_compare(found, quantity))}"
    if quantity.high is not None and quantity.high < 0 and quantity.value is not None and quantity.low is not None:
        gained = replace(quantity, value=-quantity.value, low=-quantity.high, high=-quantity.low)
        return f"Without it, the model does better, by {format_interval(_compare(found, gained))}"
    return f"Without it, the loss is {format_interval(_compare(found, quantity))}"


def _compare(found: Measured, quantity: Quantity) -> Quantity:
    return replace(quantity, beside=tuple(bound for bound, _ in found.bounds))


def _describe_draws(found: Measured) -> Line:
    draws = len(found.draws)
    as_much = max(0, round((found.p or 0) * (draws + 1)) - 1)
    return line(f"Of {draws} random sets of the same size, {as_much} do as much (p = {found.p:.3f}).")


def _describe_repair(found: Measured) -> list[Line]:
    backups = as_tables(found.repair.get("backups"))
    if backups:
        named = [theirs(row.get("component")) for row in backups[:3]]
        spans = [part for i, span in enumerate(named) for part in ((", ", span) if i else (span,))]
        return [line("Other components take over when it is ablated: ", *spans, ".")]
    repaired = read_estimate(as_table(found.repair.get("repaired")))
    if repaired.low is not None and repaired.low > 0:
        return [line(f"The rest of the model compensates for {format_interval(repaired)} of the loss.")]
    return []


def _is_about(row: Row) -> bool:
    """Whether a criterion adds a measurement that the intervals and the random sets do not already show."""
    metric = row.get("metric")
    is_own = metric in MEASURES and metric != "faithfulness_percentile_vs_random"
    return is_own and row.get("estimate") is not None


def _describe_criterion(row: Row) -> Line:
    threshold, quantity, what = number(row.get("threshold")), read_metric(row), MEASURES[str(row["metric"])]
    n, needed = number(row.get("n")), number(row.get("n_required"))
    if n is not None and needed is not None and n < needed:
        return line(f"The policy asks for {needed:,.0f} prompts, this run has {n:,.0f}.")
    if threshold is None:
        return line(f"{what}: {format_interval(quantity)}.")
    asked = compare(row.get("comparator"), format_bound(threshold))
    return line(f"{what}: {format_interval(replace(quantity, beside=(threshold,)))}. The policy asks for {asked}.")


def _describe_history(pack: PackView, claim_id: str, last: Run | None) -> list[Line]:
    """List earlier attempts that did not support the claim, and changes of the plan."""
    points = []
    for run in pack.runs_of(claim_id):
        result = run.result_of(claim_id)
        if result and last is not None and run.run_id != last.run_id and result.get("state") != "supported":
            word = find_word(STATES, result.get("state"))
            points.append(line("Attempt ", *cell(run.identity.get("attempt_no")), f" ended with: {word.text.lower()}."))
    for row in pack.tables("prereg/deviations.jsonl"):
        if claim_id in as_list(row.get("effect_on_claims")):
            points.append(line("The plan was changed after results existed: ", theirs(row.get("field")), "."))
    return points
