"""Section on what happened before the plan: where the log begins, earlier runs on the prompts, templates, split and seed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from audit_core.evidence.report.blocks import Block, Facts, Heading, Line, Paragraph, Section, Table, code, line, theirs
from audit_core.evidence.report.cells import cell
from audit_core.evidence.report.pack_view import PackView, as_list, as_table, as_tables
from audit_core.evidence.report.quantity import number
from audit_core.verifier.schemas_disclosure import DISCLOSURE_MEMBER

SHOWN_RUNS = 20
_SEEN_ONLY = "Earlier runs, and runs elsewhere, cannot be seen."


def say_beginning(disclosure: Mapping[str, Any]) -> str:
    """The sentence of every report, claim page and pack on what the log cannot show."""
    found = as_table(disclosure.get("installation"))
    moment = datetime.fromisoformat(str(found["began_at"]))
    head = f"Nothing attests what was done before this installation's log begins: on {moment.day} {moment:%B %Y}"
    counts = sorted({int(one["runs_before"]) for one in as_tables(disclosure.get("claims"))})
    if not counts:
        return f"{head}; it has {_count_runs(int(found['runs']))} since. {_SEEN_ONLY}"
    runs = _count_runs(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]} runs"
    plans = "the plan was" if len(as_tables(disclosure.get("claims"))) == 1 else "the plans were"
    return f"{head}, with {runs} before {plans} frozen. {_SEEN_ONLY}"


def list_history(pack: PackView, claim_id: str) -> tuple[Line, ...]:
    """Sentences on what came before a claim's plan; none in a pack of an earlier version."""
    disclosure = pack.table(DISCLOSURE_MEMBER)
    own = [one for one in as_tables(disclosure.get("claims")) if one.get("claim_id") == claim_id]
    if not own:
        return ()
    return (line(say_beginning(disclosure)), _say_overlap(own[0]))


def _say_overlap(one: Mapping[str, Any]) -> Line:
    runs, more = as_tables(one.get("earlier_runs")), number(one.get("n_more")) or 0
    n = int(number(one.get("n_split")) or 0)
    if not runs:
        return line(f"No earlier run of this log had any of the {n} judged prompts.")
    seen, touched = (number(one.get(name)) or 0.0 for name in ("share_seen", "share_touched"))
    return line(
        f"{_count_runs(len(runs) + int(more))} of this log before the plan had some of the {n} judged prompts or their "
        f"templates: {touched:.0%} of the prompts in any run, {seen:.0%} with results of this model."
    )


def describe_history(pack: PackView) -> Section:
    """What was done before each plan, and how its prompts were divided."""
    disclosure = pack.table(DISCLOSURE_MEMBER)
    title = "What came before, and how prompts were divided"
    if not disclosure:
        nothing = "This pack was made before earlier runs, templates and the rule of the split were recorded in packs."
        return Section("history", title, (Paragraph(line(nothing)),))
    blocks: list[Block] = [Paragraph(line(say_beginning(disclosure)), is_lead=True)]
    for one in as_tables(disclosure.get("claims")):
        seed = as_table(one.get("seed"))
        derived = "the default of every plan" if seed.get("derivation") == "default" else "chosen by the owner"
        rows = (
            ("Runs before the plan was frozen", cell(one.get("runs_before"))),
            ("Earlier runs on its prompts", _say_overlap(one)),
            ("Seed", line(*cell(seed.get("value")), f", {derived}")),
        )
        blocks += [Heading(line(code(one.get("claim_id", "")))), Facts(rows)]
        if as_list(one.get("earlier_runs")):
            blocks.append(_table_runs(one))
    for found in as_tables(disclosure.get("sets")):
        split = as_table(found.get("split"))
        salt = (("Salt, from the id of the log", line(code(split["salt"]))),) if split.get("salt") else ()
        rule = line("rule ", *cell(split.get("rule")), ": ", *cell(split.get("derivation")))
        blocks += [
            Heading(line("Prompts ", code(str(found.get("sha256", ""))[:16]))),
            Facts((("Split", rule), *salt, ("Template labels in the file", cell(found.get("n_labels"))))),
            _table_templates(found),
        ]
    return Section("history", title, tuple(blocks))


def _table_runs(one: Mapping[str, Any]) -> Table:
    runs = as_tables(one.get("earlier_runs"))
    rows = tuple(
        (
            line(code(str(run.get("run_id", ""))[:12])),
            line(theirs(run.get("audit"))),
            line(theirs(str(run.get("started_at", ""))[:19])),
            line("this" if run.get("is_this_model") else "another"),
            line("yes" if run.get("shows_results") else "no"),
            cell(run.get("n_shared")),
            cell(run.get("n_templates_shared")),
        )
        for run in runs[:SHOWN_RUNS]
    )
    left = len(runs) - len(rows) + int(number(one.get("n_more")) or 0)
    caption = "Earlier runs with judged prompts or their templates, newest first" + (f"; {left} more" if left else "")
    columns = ("run", "audit", "started", "model", "results", "prompts shared", "templates shared")
    return Table(caption, columns, rows, (5, 6), (18, 20, 22, 10, 10, 10, 10))


def _table_templates(found: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            line("withheld") if row.get("skeleton") is None else line(theirs(row["skeleton"])),
            cell(row.get("n_exploratory")),
            cell(row.get("n_confirmatory")),
        )
        for row in as_tables(found.get("templates"))
    )
    caption = "Templates as found from the texts; _ is a word that differs, # a number"
    return Table(caption, ("template", "exploratory prompts", "confirmatory prompts"), rows, (1, 2), (70, 15, 15))


def _count_runs(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"
