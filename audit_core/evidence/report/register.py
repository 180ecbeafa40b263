"""Section on findings of the validation report: the register as the pack has it, then suggestions not yet recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from audit_core.evidence.report.blocks import Block, Line, Paragraph, Table, code, join_spans, line, theirs
from audit_core.evidence.report.cells import ABSENT, cell
from audit_core.evidence.report.pack_view import PackView, as_list, as_table, as_tables
from audit_core.evidence.report.suggestions import Suggestion, suggest_findings
from audit_core.verifier.schemas_findings import FINDINGS_MEMBER

_STATUSES = {"open": "○ open", "in_remediation": "◐ in remediation", "closed": "● closed", "accepted": "◆ accepted"}
_ACTIVE = ("open", "in_remediation")


def describe_register(pack: PackView) -> tuple[Block, ...]:
    """Return the register's tables, or that no person has recorded a finding; then the suggestions left."""
    findings = pack.tables(FINDINGS_MEMBER)
    # The report is read after the pack was made: what was overdue then is stated, not what is overdue now.
    made_on = str(pack.header.get("created_at") or "")[:10]
    recorded = _tabulate(findings, made_on) if findings else (_none(),)
    return (*recorded, *_suggest(pack, findings))


def _none() -> Block:
    return Paragraph(line("No person has recorded a finding about the claims of this pack."), is_lead=True)


def _tabulate(findings: tuple[Mapping[str, Any], ...], made_on: str) -> tuple[Block, ...]:
    states = [as_table(one.get("state")) for one in findings]
    counts = Counter(str(state.get("status")) for state in states)
    n_late = sum(_is_overdue(state, made_on) for state in states)
    summary = ", ".join(f"{counts[key]} {words[2:]}" for key, words in _STATUSES.items() if counts[key])
    rows = tuple(
        (
            line(code(one.get("finding_id", ""))),
            cell(state.get("severity")),
            _describe(state),
            _one_line(state.get("remediation")),
            cell(state.get("owner")),
            cell(state.get("due")),
            _describe_status(one, state, made_on),
        )
        for one, state in zip(findings, states, strict=True)
    )
    columns = ("number", "severity", "finding", "remediation", "owner", "due date", "status")
    return (
        Paragraph(line(f"Findings about the claims of this pack: {summary}. Overdue when it was made: {n_late}."), is_lead=True),
        Table("Findings", columns, rows, widths=(9, 10, 27, 19, 11, 11, 13)),
        _tabulate_sources(findings, states),
        _tabulate_history(findings),
    )  # fmt: skip


def _is_overdue(state: Mapping[str, Any], made_on: str) -> bool:
    return state.get("status") in _ACTIVE and str(state.get("due", "")) < made_on


def _describe(state: Mapping[str, Any]) -> Line:
    title, finding = str(state.get("title", "")), str(state.get("finding", ""))
    return _one_line(finding) if finding.startswith(title) else line(*_one_line(title), ". ", *_one_line(finding))


def _one_line(text: Any) -> Line:
    """A person's text in a cell, without its line breaks."""
    return cell(" ".join(text.split()) if isinstance(text, str) else text)


def _describe_status(one: Mapping[str, Any], state: Mapping[str, Any], made_on: str) -> Line:
    words = line(_STATUSES.get(str(state.get("status")), ABSENT))
    if state.get("status") == "accepted":
        by = next((row.get("by") for row in reversed(as_tables(one.get("history"))) if row.get("step") == "accepted"), None)  # fmt: skip
        return line(*words, " by ", *cell(by))
    return line(*words, "; ! overdue") if _is_overdue(state, made_on) else words


def _tabulate_sources(findings: tuple[Mapping[str, Any], ...], states: list[Mapping[str, Any]]) -> Table:
    rows = tuple(
        (
            line(code(one.get("finding_id", ""))),
            join_spans([code(name) for name in as_list(state.get("claims"))]) or line(ABSENT),
            join_spans([code(str(name)[:12]) for name in as_list(state.get("runs"))]) or line("–"),
            cell(state.get("model")),
            _one_line(state.get("basis")),
        )
        for one, state in zip(findings, states, strict=True)
    )
    columns = ("number", "claims", "runs", "model", "suggestion that it was recorded from")
    return Table("Sources of the findings", columns, rows, widths=(9, 12, 16, 27, 36))


def _tabulate_history(findings: tuple[Mapping[str, Any], ...]) -> Table:
    rows = tuple(
        (
            line(code(one.get("finding_id", ""))),
            cell(row.get("at")),
            cell(row.get("by")),
            line(theirs(row.get("step"))),
            _one_line(row.get("reason")) if row.get("reason") else line("–"),
        )
        for one in findings
        for row in as_tables(one.get("history"))
    )
    columns = ("number", "when", "who", "change", "reason")
    return Table("History of the findings", columns, rows, widths=(9, 20, 18, 11, 42))


def _suggest(pack: PackView, findings: tuple[Mapping[str, Any], ...]) -> tuple[Block, ...]:
    bases = {str(as_table(one.get("state")).get("basis", "")) for one in findings}
    left = [one for one in suggest_findings(pack) if one.text not in bases]
    note = Paragraph(
        line(
            f"Suggestions that no finding was recorded from: {len(left)}, read from the pack. None is a finding. "
            "A person sets number, severity, owner, due date and status, or discards the suggestion."
        )
    )
    return (note, _tabulate_suggestions(left)) if left else (note,)


def _tabulate_suggestions(suggested: list[Suggestion]) -> Table:
    rows = tuple(
        (
            cell(one.text),
            line(code(one.claim_id)) if one.claim_id else line("all"),
            cell(one.remediation),
            line(code(one.source)),
        )
        for one in suggested
    )
    columns = ("suggestion", "claim", "possible remediation", "read from")
    return Table("Suggestions", columns, rows, widths=(40, 9, 28, 23))
