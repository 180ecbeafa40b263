"""Findings of each claim: figures against δ, random baseline, self-repair, statement, evidence for and against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from audit_core.evidence.kind import Evidence
from audit_core.evidence.report.blocks import (
    Balance,
    Block,
    Figure,
    Finding,
    Heading,
    Line,
    Paragraph,
    Section,
    Side,
    Table,
    code,
    line,
    theirs,
)
from audit_core.evidence.report.brief import MOST_DRAWS, OWN_METRIC, join_untested, read_brief
from audit_core.evidence.report.cells import cell, estimate_table, span_quantity
from audit_core.evidence.report.pack_view import PackView, Run, as_list, as_table, as_tables
from audit_core.evidence.report.plot import draw_intervals
from audit_core.evidence.report.quantity import Quantity, format_bound, number, read_estimate, read_metric
from audit_core.evidence.report.words_for import RESULTS, STATES, compare, find_word

EFFECT_READING = (
    "a mark is the value and its bar the interval; the whole interval beyond the dashed line δ speaks for the claim, "
    "the whole interval between zero and δ against it. The filled diamond is the ablation that decides."
)  # fmt: skip
RESTS_ON = "What the causal reading rests on"
REPAIR_READING = (
    "how much the metric falls with all later components frozen, and with them free to react; if the second is smaller, "
    "the rest of the model compensated for part of the loss."
)  # fmt: skip


def _name_metric(row: Mapping[str, Any]) -> Line:
    how = row.get("ablation")
    return line(theirs(row.get("metric")), ", ", theirs(how), " ablation") if how else line(theirs(row.get("metric")))


def print_findings(pack: PackView) -> Section:
    """Return the findings of every claim, whatever their result."""
    blocks: list[Block] = []
    for claim in pack.claims:
        claim_id = str(claim.get("claim_id", ""))
        blocks.append(Heading(line(code(claim_id), "  ", *cell(claim.get("statement")))))
        runs = pack.runs_of(claim_id)
        if not runs:
            blocks.append(Paragraph(line("Not tested: this pack contains no run of this claim.")))
        for run in runs:
            blocks += _describe_run(pack, claim, run)
        blocks.append(_weigh(pack, claim, runs))
        blocks.append(Paragraph(join_untested(read_brief(pack, claim_id).untested)))
    return Section("findings", "Findings", tuple(blocks) or (Paragraph(line("This pack contains no claims.")),))


def _describe_run(pack: PackView, claim: Mapping[str, Any], run: Run) -> list[Block]:
    claim_id = str(claim.get("claim_id", ""))
    result = run.result_of(claim_id) or {}
    word = find_word(STATES, result.get("state"))
    blocks: list[Block] = [Finding(word.shape, word.text, cell(result.get("sentence")), word.tone)]
    conditions = as_table(result.get("conditions"))
    if conditions:
        parts = [
            line(f"{'; ' if i else ''}", theirs(name), " ", *cell(value))
            for i, (name, value) in enumerate(conditions.items())
        ]
        blocks.append(Paragraph(line("Measured with ", *(span for part in parts for span in part), "; run ", code(run.run_id[:12]), ".")))  # fmt: skip
    rows = run.metrics_of(claim_id)
    name = OWN_METRIC.get(str(as_table(claim.get("claim")).get("role")), "")
    chosen = [row for row in rows if row.get("metric") == name and row.get("ablation")]
    if chosen:
        blocks += [_draw_families(pack, claim, run, name, chosen), _state(pack, claim, run, name, chosen)]
    # δ and the random baseline refer to the claim's own metric, so other metrics are listed without them.
    others = [(_name_metric(row), read_metric(row)) for row in rows if row not in chosen]
    if others:
        blocks.append(estimate_table("Other measurements of this claim", "metric", others))
    blocks += [_describe_null(result), *_describe_repair(result, f"{claim_id}-{run.run_id[:8]}")]
    return [*blocks, *_describe_scope(result), *tabulate_assumptions(result)]


def _describe_scope(result: Mapping[str, Any]) -> list[Block]:
    """Name the two quantities: for exactly these templates, and for templates like these."""
    these = as_table(result.get("these_templates"))
    if not these:
        return []
    spans = line("Over prompts of exactly these templates: ", *span_quantity(read_estimate(these)))
    return [Paragraph(line(*spans, ". The verdict rests on the interval over templates like these, given above."))]


def tabulate_assumptions(result: Mapping[str, Any]) -> list[Block]:
    """What the causal reading rests on, one assumption a row; nothing for results that name none."""
    rows = tuple(
        (cell(row.get("name")), cell(row.get("rests_on")), cell(row.get("status")), cell(row.get("found")))
        for row in as_tables(result.get("identification"))
    )
    columns = ("assumption", "what must be true", "status", "what the run found")
    return [Table(RESTS_ON, columns, rows, widths=(13, 34, 13, 40))] if rows else []


def _draw_families(
    pack: PackView, claim: Mapping[str, Any], run: Run, name: str, rows: list[Mapping[str, Any]]
) -> Figure:
    body, claim_id = as_table(claim.get("claim")), str(claim.get("claim_id", ""))
    delta, decides = number(body.get("delta")), str(body.get("ablation", ""))
    intervals = [(f"{row['ablation']}, decides" if row["ablation"] == decides else str(row["ablation"]), read_metric(row)) for row in rows]  # fmt: skip
    lines = [] if delta is None else [(delta, "δ")]
    if delta is not None and body.get("role") == "necessary":
        lines.append((-delta, "−δ"))
    for row in pack.criteria_of(claim_id):
        threshold = number(row.get("threshold"))
        if row.get("metric") == name and threshold is not None and threshold != delta:
            lines.append((threshold, f"policy {compare(row.get('comparator'), format_bound(threshold))}"))
    null = as_table(result.get("null")) if (result := run.result_of(claim_id)) else {}
    draws = [value for item in as_list(null.get("values"))[:MOST_DRAWS] if (value := number(item)) is not None]
    bounds = tuple(bound for bound, _ in lines)
    intervals = [(label, replace(quantity, beside=bounds)) for label, quantity in intervals]
    plot = draw_intervals(
        f"{claim_id}-{run.run_id[:8]}-{name}",
        f"{claim_id}: {name} by ablation",
        intervals,
        unit=intervals[0][1].unit,
        lines=lines,
        deciding=f"{decides}, decides",
        strip=("random sets", draws),
    )
    table = estimate_table(f"{name} by ablation, as drawn", "ablation", intervals)
    return Figure(line(theirs(name), " by ablation"), Evidence.CAUSAL, EFFECT_READING, plot, table)


def _state(pack: PackView, claim: Mapping[str, Any], run: Run, name: str, rows: list[Mapping[str, Any]]) -> Paragraph:
    """State what was measured under which policy, without a conclusion beyond it (agreed-upon procedures)."""
    decides = as_table(claim.get("claim")).get("ablation")
    row = next((row for row in rows if row.get("ablation") == decides), rows[0])
    manifest = run.manifest
    model, prompts = as_table(manifest.get("model")), as_table(manifest.get("prompts"))
    frozen = _find_frozen(pack, run)
    recorded = (
        line(" The threshold was recorded no later than ", *cell(frozen), ".")
        if frozen
        else line(" No record from before the run names this policy.")
    )
    return Paragraph(
        line(
            "Under policy ", *cell(pack.policy.get("id")), " (SHA-256 ", code(str(pack.verdict.get("policy_sha256", "–"))[:12]), "), ",
            theirs(row.get("ablation")), " ablation on model ", *cell(model.get("repo")), " (weights ",
            code(str(model.get("weights_tree_sha256", "–"))[:12]), "), prompt set ", *cell(prompts.get("set_id")), ", measured ", theirs(name), " = ",
            *span_quantity(read_metric(row)), ".", *recorded,
            " This is a factual finding about the tested conditions, not an assurance conclusion.",
        )
    )  # fmt: skip


def _find_frozen(pack: PackView, run: Run) -> Any:
    """Return when the run's preregistration froze the verdict's policy; None if it did not."""
    for prereg in pack.tables("prereg/prereg.json"):
        named = run.identity.get("prereg_digest")
        is_named = bool(prereg.get("digest")) and prereg["digest"] == named
        if is_named and prereg.get("policy_sha256") == pack.verdict.get("policy_sha256"):
            return prereg.get("frozen_at")
    return None


def _describe_null(result: Mapping[str, Any]) -> Paragraph:
    null = as_table(result.get("null"))
    if not null:
        return Paragraph(line("Random baseline: none is recorded for this run."))
    design, share = null.get("design", null.get("matched_on")), number(null.get("p"))
    if share is None:
        return Paragraph(line("Random baseline: ", *cell(design), "."))
    return Paragraph(
        line(f"Random baseline: p = {share:.3f}, the share, including this claim, of ", *cell(design), ", with at least the same effect, on ", *cell(null.get("n")), " of the prompts.")
    )  # fmt: skip


def _describe_repair(result: Mapping[str, Any], key: str) -> list[Block]:
    repair = as_table(result.get("repair") or result.get("self_repair"))
    if not repair:
        return [
            Paragraph(
                line("Self-repair: not measured in this run; it applies to single components claimed as necessary.")
            )
        ]
    rows: list[tuple[str, Quantity]] = [
        (words, read_estimate(as_table(repair[part])))
        for part, words in (("direct", "later components frozen"), ("total", "later components free"))
        if repair.get(part)
    ]
    repaired = as_table(repair.get("repaired"))
    share: Line = line("compensated by the rest of the model ", *span_quantity(read_estimate(repaired))) if repaired else line("the compensated share could not be measured")  # fmt: skip
    backups = [
        line(theirs(row.get("component")), " by ", *span_quantity(read_estimate(as_table(row.get("growth")))))
        for row in as_tables(repair.get("backups"))
    ]
    named = line("; components with a larger effect after the ablation: ", *(span for part in backups for span in part)) if backups else line("; no single backup component was found")  # fmt: skip
    blocks: list[Block] = []
    if rows:
        plot = draw_intervals(
            f"{key}-repair", "Loss of the metric, later components frozen and free", rows, unit=rows[0][1].unit
        )
        table = estimate_table("Self-repair, as drawn", "later components", rows)
        blocks.append(Figure(line("Self-repair"), Evidence.CAUSAL, REPAIR_READING, plot, table))
    return [*blocks, Paragraph(line("Self-repair: ", *share, *named, "."))]


def _weigh(pack: PackView, claim: Mapping[str, Any], runs: tuple[Run, ...]) -> Balance:
    """List evidence for and against; criteria that are not met, inconclusive or not evaluated count against a claim."""
    claim_id = str(claim.get("claim_id", ""))
    pro = [_reference(item) for item in as_list(claim.get("evidence"))]
    contra = [_reference(item) for item in as_list(claim.get("counter_evidence"))]
    for row in pack.criteria_of(claim_id):
        meets = row.get("result") == "MEETS"
        (pro if meets else contra).append(_criterion_line(row))
    for run in runs:
        result = run.result_of(claim_id) or {}
        word = find_word(STATES, result.get("state"))
        (pro if word.tone == "for" else contra).insert(
            0, line(f"Finding: {word.marked} (run ", code(run.run_id[:12]), ")")
        )
        contra += [_unmeasured(row) for row in run.metrics_of(claim_id) if row.get("estimate") is None]
    searched = claim.get("counter_evidence_search")
    empty = f"None recorded. {'A search for it is recorded.' if searched else 'No search for it is recorded.'}"
    return Balance(
        Side("Evidence for the claim", tuple(pro), "None recorded."),
        Side("Evidence against the claim", tuple(contra), empty),
    )


def _unmeasured(row: Mapping[str, Any]) -> Line:
    way = line(", ", theirs(row["ablation"])) if row.get("ablation") else ()
    return line("Not measured: ", theirs(row.get("metric")), *way)


def _criterion_line(row: Mapping[str, Any]) -> Line:
    word = find_word(RESULTS, row.get("result"))
    return line("Criterion ", theirs(row.get("id")), f": {word.marked}")


def _reference(item: Any) -> Line:
    table = as_table(item)
    if not table:
        return cell(item)
    words = next((table[key] for key in ("note", "text", "description") if table.get(key)), None)
    if not table.get("run_id"):
        return cell(words)
    return line(*cell(words), " (run ", code(str(table["run_id"])[:12]), ")")
