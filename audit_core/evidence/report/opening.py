"""What a reader meets first: what the document is and is not, and every finding at a glance."""

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
    """What stands under the title."""
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


def say_what_this_is() -> Section:
    return Section(
        "what",
        "What this is, and what it is not",
        (
            Paragraph(
                line(
                    "Findings of fact: what stated procedures measured on a stated model, with stated prompts, against stated thresholds."
                ),
                is_lead=True,
            ),
            Bullets(
                (
                    line(
                        "It is a rendering of documents. Where it differs from them, the documents are right; the digest at its head "
                        "and foot names them."
                    ),
                    line(
                        "It says nothing of models, prompts or interventions that were not tested, and an effect that was not "
                        "found is not shown to be absent: it is smaller than the stated size, at the stated number of prompts."
                    ),
                    line(
                        "It is no opinion, no assurance conclusion and no legal assessment. Whether the findings suffice for a "
                        "decision is for the people who take it."
                    ),
                    line(
                        "It does not say whether its own bytes, signatures and times hold: a rendering cannot. The last section "
                        "tells how to find out."
                    ),
                    line("Text in the voice of whoever filed it is set as it was filed; characters that could not be seen are shown as their code points."),
                )
            ),
        ),
    )  # fmt: skip


def summarise(pack: PackView) -> Section:
    """The overall result, and one row a claim."""
    verdict = pack.verdict
    word = find_word(OVERALL, verdict.get("overall"))
    policy = pack.policy.get("id")
    blocks: list[Block] = [
        Finding(
            word.shape,
            word.text,
            line(
                "Policy ", theirs(policy) if policy else ABSENT, ", evaluated ", *cell(verdict.get("evaluated_at")),
                ". The result is that of the worst required criterion; integrity, signatures and approval are answered "
                "by the verifier, not here.",
            ),
            word.tone,
        )
        if verdict
        else Paragraph(line("No verdict under a policy is in this pack."))
    ]  # fmt: skip
    blocks.append(
        Table(
            "Every claim of this pack and what became of it",
            ("claim", "said", "found", "under the policy"),
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
