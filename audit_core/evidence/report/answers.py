"""Section on answers: results of audits that test no registered claim."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from audit_core.evidence.report.blocks import Block, Facts, Heading, Paragraph, Section, code, line, theirs
from audit_core.evidence.report.cells import ABSENT, cell, digest_cell
from audit_core.evidence.report.pack_view import PackView, as_table
from audit_core.verifier.criteria import MEETS, PREREGISTERED

_MOST = 2_000
"""Characters of a finding that are shown; the document has all."""


def describe_answers(pack: PackView) -> tuple[Section, ...]:
    """Return one section that names each answer with its own finding, or none in a pack without answers."""
    answers = pack.answers
    if not answers:
        return ()
    lead = (
        "Results of audits beside claims. A number meets the policy only if it has a threshold there and the question was frozen "
        "before its run."
    )
    blocks: list[Block] = [Paragraph(line(lead), is_lead=True)]
    for answer in answers:
        blocks += [
            Heading(line(theirs(answer.get("question", "")))),
            _list_facts(answer, pack.criteria_of(str(answer.get("run_id", "")))),
        ]
    return (Section("answers", "Answers of other audits", tuple(blocks)),)


def _list_facts(answer: Mapping[str, Any], criteria: Sequence[Mapping[str, Any]]) -> Facts:
    identity = as_table(answer.get("identity"))
    name = str(answer.get("run_id", ""))
    finding = _read_finding(answer)
    return Facts(
        (
            ("Finding", line(theirs(finding)) if finding else line(ABSENT)),
            ("Question", line(theirs(_describe_freeze(criteria)))),
            ("Under the policy", line(theirs(_describe_results(criteria)))),
            ("Audit", line(code(answer.get("audit", "")))),
            ("Model", cell(identity.get("model"))),
            ("Weights, SHA-256", digest_cell(identity.get("weights_sha256"))),
            ("Prompts", cell(identity.get("prompts"))),
            ("Number of prompts", cell(identity.get("n_prompts"))),
            ("Run", line(code(name))),
            ("Started", cell(answer.get("started_at"))),
            ("All numbers", line("in ", code(f"report/answer-{name}.html"), " and ", code(f"answers/{name}.json"))),
        )
    )


def _describe_freeze(criteria: Sequence[Mapping[str, Any]]) -> str:
    frozen = next((row for row in criteria if row.get("id") == PREREGISTERED), None)
    if frozen is None:
        return "not compared with the policy, which has no threshold for this audit"
    if frozen.get("result") == MEETS:
        which = frozen.get("reason") or "the first of this audit on this model in this log"
        return f"frozen with this policy before the run; {which}"
    return str(frozen.get("reason") or "exploratory")


def _describe_results(criteria: Sequence[Mapping[str, Any]]) -> str:
    found = [f"{row.get('id')}: {row.get('result')}" for row in criteria if row.get("id") != PREREGISTERED]
    return "; ".join(found) or ABSENT


def _read_finding(answer: Mapping[str, Any]) -> str:
    """The result's own sentence; empty without one."""
    try:
        found = as_table(json.loads(str(answer.get("result"))))
    except ValueError:
        return ""
    own = found.get("finding") or found.get("sentence") or as_table(found.get("verdict")).get("sentence")
    return own[:_MOST] if isinstance(own, str) else ""
