"""Opening sections: purpose and limits of the report, and all findings at a glance."""

from __future__ import annotations

from typing import Any

from audit_core.evidence.report.blocks import (
    Block,
    Bullets,
    Facts,
    Finding,
    Line,
    Paragraph,
    Section,
    Table,
    code,
    line,
    theirs,
)
from audit_core.evidence.report.cells import ABSENT, cell, digest_cell
from audit_core.evidence.report.pack_view import PackView, as_table
from audit_core.evidence.report.words_for import OVERALL, RESULTS, STATES, find_word

_WORST = ("INTEGRITY_FAILED", "DOES_NOT_MEET", "NOT_EVALUATED", "INCONCLUSIVE", "MEETS")


def list_facts(pack: PackView) -> Facts:
    """List the facts below the title."""
    header = pack.header
    producer = as_table(header.get("producer"))
    made_by = (
        line(theirs(producer["name"]), " ", theirs(producer.get("version", ""))) if "name" in producer else line(ABSENT)
    )
    return Facts(
        (
            ("Organisation", cell(header.get("organisation"))),
            ("Intended purpose", cell(header.get("intended_purpose"))),
            ("Made", cell(header.get("created_at"))),
            ("Made with", made_by),
            ("Pack", digest_cell(header.get("pack_id"))),
            *((("Replaces pack with root", digest_cell(header["supersedes"])),) if header.get("supersedes") else ()),
        )
    )  # fmt: skip


def describe_report() -> Section:
    return Section(
        "what",
        "What this is, and what it is not",
        (
            Paragraph(
                line(
                    "Findings of fact: measurements by stated procedures on a stated model, with stated prompts, against stated thresholds."
                ),
                is_lead=True,
            ),
            Bullets(
                (
                    line(
                        "This report is rendered from documents. If they differ, the documents count; the digest at top and "
                        "bottom identifies them."
                    ),
                    line(
                        "It does not cover models, prompts or interventions that were not tested. An effect that was not found "
                        "is not shown to be absent: it is smaller than the stated size, at the stated number of prompts."
                    ),
                    line(
                        "It is not an opinion, an assurance conclusion or a legal assessment. The people who decide judge "
                        "whether the findings suffice."
                    ),
                    line(
                        "It cannot confirm its own integrity, signatures and times. The last section describes how to check "
                        "them."
                    ),
                    line("Text from documents is shown as filed; invisible characters are shown as code points."),
                )
            ),
        ),
    )  # fmt: skip


def summarise(pack: PackView) -> Section:
    """Return the overall result and one row per claim."""
    verdict = pack.verdict
    word = find_word(OVERALL, verdict.get("overall"))
    policy = pack.policy.get("id")
    blocks: list[Block] = [
        Finding(
            word.shape,
            word.text,
            line(
                "Policy ", theirs(policy) if policy else ABSENT, ", evaluated ", *cell(verdict.get("evaluated_at")),
                ". The result is that of the worst required criterion. The verifier, not this report, checks integrity, "
                "signatures and approval.",
            ),
            word.tone,
        )
        if verdict
        else Paragraph(line("This pack contains no verdict under a policy."))
    ]  # fmt: skip
    blocks.append(
        Table(
            "All claims of this pack with their results",
            ("claim", "statement", "finding", "under the policy"),
            tuple(_glance(pack, claim) for claim in pack.claims),
            widths=(9, 45, 24, 22),
        )
    )
    return Section("glance", "Findings at a glance", tuple(blocks))


def _glance(pack: PackView, claim: Any) -> tuple[Line, ...]:
    claim_id = str(claim.get("claim_id", ""))
    results = [found for run in pack.runs_of(claim_id) if (found := run.result_of(claim_id))]
    states = dict.fromkeys(find_word(STATES, found.get("state")).marked for found in results)
    rows = [row.get("result") for row in pack.criteria_of(claim_id)]
    worst = next((result for result in _WORST if result in rows), None)
    return (
        line(code(claim_id)),
        cell(claim.get("statement")),
        line("; ".join(states) or "○ Not tested"),
        line(find_word(RESULTS, worst).marked),
    )
