"""Export of a filled checklist as JSON, as a table with cells safe for spreadsheets, and as HTML without scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from audit_core.references.procurement import Answer, AnswerCount, FilledChecklist, count_answers
from audit_core.tables import make_table, to_csv

if TYPE_CHECKING:
    from audit_core.evidence.report.blocks import Line, Section

ANSWER_COLUMNS = ("section", "item", "question", "answer", "in words", "claims", "packs", "by", "at")


def dump_filled(filled: FilledChecklist) -> bytes:
    """Return the saved version as JSON, with its digest in the audit log."""
    return (json.dumps(filled.to_json() | {"digest": filled.digest}, indent=1, ensure_ascii=False) + "\n").encode()


def list_answer_rows(filled: FilledChecklist) -> list[tuple[str, ...]]:
    """Return one row per question, with `ANSWER_COLUMNS`."""
    return [
        (
            question.section, question.item_id, question.text, answer.answer.value, answer.text,
            " ".join(answer.claims), " ".join(answer.packs), answer.by, answer.at,
        )
        for question, answer in zip(filled.questions, filled.answers, strict=True)
    ]  # fmt: skip


def write_filled_csv(filled: FilledChecklist) -> bytes:
    return to_csv(make_table(ANSWER_COLUMNS, list_answer_rows(filled)))


def describe_count(count: AnswerCount) -> str:
    """Return the counts as a sentence; unanswered is counted separately."""
    words = ", ".join(f"{number} {word.value}" for word, number in count.by_word)
    return f"Of {count.total} questions: {words}. {count.unlinked_yes} of the answers yes and partly link no evidence."


def write_filled_html(filled: FilledChecklist) -> bytes:
    """Return a self-contained HTML file, unsigned; users' text is escaped."""
    # Imported here, because the templates are needed for HTML only.
    from audit_core.evidence.report.blocks import Bullets, Facts, Paragraph, Report, Seal, Section, code, line, theirs
    from audit_core.evidence.report.cells import cell
    from audit_core.evidence.report.html import write_html

    reported = Bullets(
        (
            line("Answers by people to questions. An answer is a statement, not a finding: findings are in the claims and packs that it links."),
            line("Unanswered is counted separately, and there is no total score. Legal assessment not performed."),
            line("Digests of packs are as entered; whether such a pack exists was not checked. This file is not signed."),
        )
    )  # fmt: skip
    facts = Facts(
        (
            ("Checklist", line(code(filled.checklist_id), f", version {filled.version}")),
            ("Saved by", line(theirs(filled.saved_by))),
            ("Saved", cell(filled.saved_at)),
            ("Checklist, SHA-256", line(code(filled.checklist_sha256))),
        )
    )
    count = Section(
        "count", "At a glance", (Paragraph(line(describe_count(count_answers(filled.answers))), is_lead=True),)
    )
    sections = (Section("what", "What this is, and what it is not", (reported,)), count, *_list_sections(filled))
    seal = Seal("SHA-256 of the saved version, as in the audit log", filled.digest)
    return write_html(
        Report("Procurement checklist", line(theirs(filled.about)), facts, seal, sections, filled.saved_at)
    )


def _list_sections(filled: FilledChecklist) -> list[Section]:
    from audit_core.evidence.report.blocks import Section, Table, line, theirs
    from audit_core.evidence.report.cells import cell

    made = []
    for number, title in enumerate(dict.fromkeys(question.section for question in filled.questions), 1):
        rows = tuple(
            (line(theirs(question.text)), line(answer.answer.value), line(theirs(answer.text)) if answer.text else line("–"), _link(answer), line(theirs(answer.by or "–")), cell(answer.at) if answer.at else line("–"))
            for question, answer in zip(filled.questions, filled.answers, strict=True)
            if question.section == title
        )  # fmt: skip
        columns = ("question", "answer", "in words", "linked evidence", "by", "when")
        made.append(Section(f"part-{number}", title, (Table(title, columns, rows, widths=(30, 10, 26, 16, 8, 10)),)))
    return made


def _link(answer: Answer) -> Line:
    from audit_core.evidence.report.blocks import code, join_spans, line

    spans = [code(one) for one in (*answer.claims, *answer.packs)]
    return join_spans(spans) if spans else line("none linked")
