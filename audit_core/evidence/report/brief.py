"""One claim on one screen: statement, verdict, intervals against δ, evidence for and against, and what was not tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit_core.evidence.kind import Evidence
from audit_core.evidence.report.blocks import (
    Balance,
    Block,
    Figure,
    Finding,
    Line,
    Paragraph,
    Section,
    Side,
    Table,
    line,
)
from audit_core.evidence.report.cells import cell, estimate_table
from audit_core.evidence.report.disclosure import list_history
from audit_core.evidence.report.pack_view import PackView, Run, as_list, as_table, as_tables
from audit_core.evidence.report.plot import draw_intervals
from audit_core.evidence.report.points import Measured, describe_family, list_against, list_for, list_untested
from audit_core.evidence.report.quantity import Quantity, number, read_metric
from audit_core.evidence.report.visible import make_visible
from audit_core.evidence.report.words_for import STATES, Word, find_word

OWN_METRIC = {"necessary": "necessity_drop", "sufficient": "faithfulness_ld"}
"""The metric that decides a claim, by the claim's role."""
SHOWN = 3
"""Points on each side that the first screen shows."""
UNTESTED_SHOWN = 4
"""Gaps that the first screen names; with all of them its last line would stand alone on a second page."""
MOST_DRAWS = 500
"""Largest number of marks in a strip."""
READING = (
    "bars are intervals, dashed lines ±δ, the smallest effect that counts. Ticks are random sets: what chance does."
)
UNTESTED = Word("○", "Not tested", "open")


@dataclass(frozen=True)
class Brief:
    """A claim as its reader needs it to decide."""

    claim_id: str
    title: Line
    """The statement as its author wrote it."""
    scope: Line
    """Components, model and prompts."""
    state: str
    """State of the last run; empty without one."""
    word: Word
    sentence: Line
    measured: Measured
    speaks_for: tuple[Line, ...]
    """Strongest first."""
    speaks_against: tuple[Line, ...]
    untested: tuple[Line, ...]
    history: tuple[Line, ...] = ()
    """Where the log begins, and earlier runs on the prompts; empty in packs of earlier versions."""


def read_brief(pack: PackView, claim_id: str) -> Brief:
    """Read one claim's brief; its last run with a result decides."""
    claim = next((one for one in pack.claims if one.get("claim_id") == claim_id), {})
    body, run = as_table(claim.get("claim")), find_last_run(pack, claim_id)
    result: Mapping[str, Any] = {} if run is None else run.result_of(claim_id) or {}
    word = find_word(STATES, result.get("state")) if run is not None else UNTESTED
    measured = _read_measured(body, run, claim_id, result)
    criteria = pack.criteria_of(claim_id)
    state = str(result.get("state") or "")
    family = describe_family(claim, result)
    beside = {side: ((family[1],) if family and family[0] == side else ()) for side in ("for", "against", "open")}
    return Brief(
        claim_id,
        cell(body.get("name") or claim.get("statement")),
        _describe_scope(claim, run),
        state,
        word,
        cell(result.get("sentence")) if run is not None else line("No run of this claim has a result yet."),
        measured,
        (*list_for(measured, criteria, word), *beside["for"]),
        (*beside["against"], *list_against(measured, criteria, word, pack, claim_id, run)),
        (*beside["open"], *list_untested(measured, criteria, pack)),
        list_history(pack, claim_id),
    )


def find_last_run(pack: PackView, claim_id: str) -> Run | None:
    """Return the run with the highest attempt number among those with a result."""
    runs = [run for run in pack.runs_of(claim_id) if run.result_of(claim_id)]
    return max(runs, key=lambda run: (number(run.identity.get("attempt_no")) or 0, run.run_id), default=None)


def _tabulate(known: Sequence[tuple[str, Quantity]]) -> Table:
    """Return the figure's numbers with their unit in the caption: one line each keeps them on the first page."""
    full = estimate_table("", "ablation", known)
    caption = f"Effect by ablation, {known[0][1].unit}"
    rows = tuple(
        (*row[:4], row[4] if known[at][1].value is None else row[5], row[6]) for at, row in enumerate(full.rows)
    )
    return Table(caption, ("ablation", "value", "low", "high", "n", "level"), rows, (1, 2, 3), (26, 9, 9, 9, 34, 13))


def join_untested(untested: Sequence[Line]) -> Line:
    """What was not tested, as one paragraph."""
    ends = [() if "".join(span.text for span in one).endswith(".") else line(".") for one in untested]
    parts = (part for one, end in zip(untested, ends, strict=True) for part in (*line(" "), *one, *end))
    return (*line("Not tested:"), *parts)


def _describe_scope(claim: Mapping[str, Any], run: Run | None) -> Line:
    scope, body = as_table(claim.get("scope")), as_table(claim.get("claim"))
    prompts = as_table({} if run is None else run.manifest.get("prompts"))
    n = line(", n = ", *cell(prompts["n_items"])) if prompts.get("n_items") else ()
    parts = cell(body.get("components"))
    return line(*parts, ", claimed as ", *cell(body.get("role")), ". Model ", *cell(scope.get("model_id")), ". Prompts ", *cell(scope.get("prompt_set_id")), *n, ".")  # fmt: skip


def _read_measured(body: Mapping[str, Any], run: Run | None, claim_id: str, result: Mapping[str, Any]) -> Measured:
    role, decides, delta = str(body.get("role", "")), str(body.get("ablation", "")), number(body.get("delta"))
    rows = [] if run is None else run.metrics_of(claim_id)
    own = [row for row in rows if row.get("metric") == OWN_METRIC.get(role) and row.get("ablation")]
    null = as_table(result.get("null"))
    draws = tuple(value for item in as_list(null.get("values"))[:MOST_DRAWS] if (value := number(item)) is not None)
    families = tuple((str(row["ablation"]), read_metric(row)) for row in own)
    repair = as_table(result.get("repair") or result.get("self_repair"))
    names = ", ".join(map(str, as_list(body.get("components")))) or "the components"
    alpha = number(body.get("alpha")) or 0.05
    return Measured(
        role,
        names,
        decides,
        delta,
        alpha,
        families,
        number(null.get("p")),
        draws,
        repair,
        tuple(rows),
        as_tables(result.get("identification")),
    )


def describe_briefs(pack: PackView) -> tuple[Section, ...]:
    """Return one page per claim, each with the claim's first screen."""
    briefs = [read_brief(pack, str(claim.get("claim_id", ""))) for claim in pack.claims]
    return tuple(
        Section(f"brief-{at}", make_visible(f"Claim {brief.claim_id} at a glance"), _draw(brief), is_page=True)
        for at, brief in enumerate(briefs, 1)
    )


def _draw(brief: Brief) -> tuple[Block, ...]:
    blocks: list[Block] = [
        Paragraph(brief.title, is_lead=True),
        Paragraph(brief.scope),
        Finding(brief.word.shape, brief.word.text, brief.sentence, brief.word.tone),
    ]
    found = brief.measured
    known = [(f"{name}, decides" if name == found.decides else name, q) for name, q in found.families]
    if any(quantity.value is not None for _, quantity in known):
        plot = draw_intervals(
            f"brief-{brief.claim_id}", f"{brief.claim_id}: effect by ablation", known, unit=known[0][1].unit,
            lines=found.bounds, deciding=f"{found.decides}, decides", strip=("random sets", found.draws),
        )  # fmt: skip
        title = line("Effect by ablation, against the smallest effect that counts")
        blocks.append(Figure(title, Evidence.CAUSAL, READING, plot, _tabulate(known)))
    empty = "None recorded."
    blocks.append(
        Balance(
            Side("Evidence for, strongest first", brief.speaks_for[:SHOWN], empty),
            Side("Evidence against, strongest first", brief.speaks_against[:SHOWN], empty),
        )
    )
    more = len(brief.untested) - UNTESTED_SHOWN
    rest = line(f" And {more} more, under Findings.") if more > 0 else ()
    untested = (*join_untested(brief.untested[:UNTESTED_SHOWN]), *rest)
    # One paragraph: a last one of a single line would stand alone on a second page.
    history = tuple(span for at, one in enumerate(brief.history) for span in (*line(" " if at else ""), *one))
    return (*blocks, Paragraph(untested), *((Paragraph(history),) if history else ()))
