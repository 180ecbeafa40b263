"""Sections on policy criteria, deviations from the plan, and attempts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from audit_core.evidence.report.blocks import Block, Facts, Heading, Line, Paragraph, Section, Table, code, line, theirs
from audit_core.evidence.report.cells import cell, digest_cell, pick_facts
from audit_core.evidence.report.pack_view import PackView, as_table, as_tables
from audit_core.evidence.report.quantity import format_bound, format_interval, number, read_metric
from audit_core.evidence.report.words_for import RESULTS, compare, find_word

_DEVIATION = (
    ("at", "When"), ("by", "By"), ("field", "Changed field"), ("before", "Before"), ("after", "After"), ("reason", "Reason"), ("class", "Class"),
    ("prior_access", "Results seen by then"), ("approved_by", "Agreed to by"), ("effect_on_claims", "Affected claims"),
)  # fmt: skip
SOURCES = ("default", "organisation", "regulator")
"""Known sources of a threshold; any other is shown as not stated."""


def describe_criteria(pack: PackView) -> Section:
    """List every criterion with its threshold and the threshold's source."""
    rows = as_tables(pack.verdict.get("criteria"))
    if not rows:
        return Section("criteria", "Policy criteria", (Paragraph(line("No criterion was evaluated in this pack.")),))
    coverage = as_table(pack.verdict.get("coverage"))
    table = Table(
        "Criteria, claim by claim",
        ("criterion", "claim", "measured", "threshold", "source", "n (required)", "result"),
        tuple(_criterion(pack, row) for row in rows),
        numeric=(2, 3, 5),
        widths=(20, 8, 20, 11, 14, 11, 22),
    )
    facts = Facts(
        (
            ("Policy", cell(pack.policy.get("id"))),
            ("Policy, SHA-256", digest_cell(pack.verdict.get("policy_sha256"))),
            ("Evaluated", line(*cell(pack.verdict.get("evaluated_at")), " by ", *cell(pack.verdict.get("evaluator")))),
            (
                "Required criteria evaluated",
                line(*cell(coverage.get("evaluated")), " of ", *cell(coverage.get("required"))),
            ),
        )
    )
    rule = (
        "A criterion is met if the interval bound that the policy names lies on the required side of the threshold, not met if "
        "the whole interval lies on the other side, and inconclusive otherwise. Thresholds marked default are judgements of "
        "the product's authors; the people responsible for the system must set their own."
    )  # fmt: skip
    return Section("criteria", "Policy criteria", (facts, Paragraph(line(rule)), table, *_waivers(pack)))


def _criterion(pack: PackView, row: Mapping[str, Any]) -> tuple[Line, ...]:
    word, threshold = find_word(RESULTS, row.get("result")), number(row.get("threshold"))
    needed = (
        line(*_count(row.get("n")), " (", *_count(row.get("n_required")), ")")
        if row.get("n") is not None
        else line("–")
    )
    reason = line(": ", theirs(row["reason"])) if row.get("reason") else ()
    return (
        line(theirs(row.get("id"))),
        line(code(row["claim_id"])) if row.get("claim_id") else line("all"),
        line(format_interval(replace(read_metric(row), beside=() if threshold is None else (threshold,)))),
        line("–" if threshold is None else compare(row.get("comparator"), format_bound(threshold))),
        line(_source(pack, row.get("id"))),
        needed,
        line(word.marked, *reason),
    )


def _count(value: Any) -> Line:
    return line("–") if value is None else cell(value)


def _source(pack: PackView, criterion: Any) -> str:
    """Return the source of a threshold if it is one of `SOURCES`, else "not stated"."""
    settings = as_table(as_table(pack.policy.get("criteria")).get(criterion))
    source = settings.get("source", pack.policy.get("source"))
    if "threshold" not in settings and "source" not in settings:
        return "–"
    return str(source) if source in SOURCES else "not stated"


def _waivers(pack: PackView) -> tuple[Block, ...]:
    waived = as_tables(pack.verdict.get("waived"))
    if not waived:
        return (Paragraph(line("Nothing was waived.")),)
    rows = tuple(tuple(cell(row.get(key)) for key in ("criterion", "by", "reason", "expires_at")) for row in waived)
    return (Table("Waived", ("criterion", "by", "reason", "until"), rows, widths=(20, 20, 40, 20)),)


def describe_deviations(pack: PackView) -> Section:
    """List the changes made after the plan was frozen."""
    rows = pack.tables("prereg/deviations.jsonl")
    if not rows:
        return Section("deviations", "Deviations", (Paragraph(line("No deviation from the plan is recorded.")),))
    note = (
        "A change before any result could be seen is an amendment. A later change is a deviation: the affected tests are "
        "exploratory and meet no criterion."
    )  # fmt: skip
    blocks: list[Block] = [Paragraph(line(note))]
    for row in rows:
        blocks += [Heading(line(code(row.get("id", "")))), pick_facts(row, _DEVIATION)]
    return Section("deviations", "Deviations", tuple(blocks))


def disclose_attempts(pack: PackView) -> Section:
    """List every run that was started on these claims, including those not used as evidence."""
    begun = [entry for entry in pack.entries if entry.get("action") == "run.started" and not _is_beginning(pack, entry)]
    ends = {
        entry.get("object_id"): as_table(entry.get("payload"))
        for entry in pack.entries
        if entry.get("action") == "run.ended"
    }
    shown = {run.run_id for run in pack.runs}
    rows = tuple(_attempt(entry, ends.get(entry.get("object_id")), shown) for entry in begun)
    counts = as_table(pack.header.get("attempts"))
    reported = line(
        "The pack's header counts ", *cell(counts.get("total")), " attempts: ", *cell(counts.get("completed")), " completed, ",
        *cell(counts.get("failed")), " failed, ", *cell(counts.get("abandoned")), f" abandoned. The log entries in the pack start {len(begun)}. "
        "The log numbers the attempts; omitting one would leave a gap.",
    )  # fmt: skip
    table = Table(
        "Attempts", ("claim", "attempt", "run", "started", "outcome", "in this pack"), rows, (1,), (10, 10, 20, 28, 20, 12)
    )  # fmt: skip
    return Section("attempts", "Attempts", (Paragraph(reported), table))


def _is_beginning(pack: PackView, entry: Mapping[str, Any]) -> bool:
    """Whether an entry is in the pack only as the first of the log."""
    answers = {one.get("run_id") for one in pack.answers}
    claim_id = as_table(entry.get("payload")).get("claim_id")
    return entry.get("seq") == 0 and claim_id is None and entry.get("object_id") not in answers


def _attempt(entry: Mapping[str, Any], end: Mapping[str, Any] | None, shown: set[str]) -> tuple[Line, ...]:
    payload, run_id = as_table(entry.get("payload")), str(entry.get("object_id", ""))
    outcome = line("abandoned: no end recorded") if end is None else cell(end.get("outcome"))
    reason = line(" (", theirs(end["reason"]), ")") if end and end.get("reason") else ()
    return (
        line(code(payload["claim_id"])) if payload.get("claim_id") else line("–"),
        line("–") if payload.get("attempt_no") is None else cell(payload["attempt_no"]),
        line(code(run_id[:12])),
        cell(entry.get("ts")),
        line(*outcome, *reason),
        line("yes" if run_id in shown else "no"),
    )
