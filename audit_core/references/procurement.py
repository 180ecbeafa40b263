"""Procurement checklist: questions to a vendor, and answers; unanswered is recorded as unanswered."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from audit_core.data_folder import DATA
from audit_core.errors import Refused
from audit_core.evidence.canonical import hash_document
from audit_core.verifier.schema import find_violation
from audit_core.verifier.schema_words import DATE, ID, TEXT, WORDS, Schema, list_of, one_of, record
from audit_core.verifier.strict_json import NotStrictJson, load_strict

SHIPPED_CHECKLIST = DATA / "procurement/checklist.json"
MAX_ABOUT, MAX_NAME_LETTERS, MAX_TEXT, MAX_LINKS = 200, 80, 4_000, 50
_CLAIM = re.compile(r"C-[0-9]{4,9}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class AnswerWord(StrEnum):
    """The answer to a question; the last value is the default."""

    YES = "yes"
    NO = "no"
    PARTLY = "partly"
    NOT_APPLICABLE = "not applicable"
    UNANSWERED = "unanswered"


class Link(StrEnum):
    """Kind of evidence that an answer could reference."""

    CLAIM = "claim"
    PACK = "pack"
    RUN = "run"
    MODEL_CARD_ROW = "model_card_row"


@dataclass(frozen=True)
class ChecklistItem:
    """One question."""

    id: str
    question: str
    good: str
    """Criteria for a good answer."""
    links: tuple[Link, ...]
    where: str
    """Which evidence could be linked, or a note that there is none yet."""


@dataclass(frozen=True)
class ChecklistSection:
    id: str
    title: str
    items: tuple[ChecklistItem, ...]


@dataclass(frozen=True)
class Checklist:
    """A checklist and the digest of its content."""

    as_of: str
    title: str
    source: str
    sections: tuple[ChecklistSection, ...]
    sha256: str

    @property
    def items(self) -> tuple[ChecklistItem, ...]:
        return tuple(item for section in self.sections for item in section.items)


@dataclass(frozen=True)
class Question:
    """An item as asked, stored with the answers so that they stay readable if the list changes."""

    section: str
    item_id: str
    text: str


@dataclass(frozen=True)
class Answer:
    """One answer with author and time."""

    item_id: str
    answer: AnswerWord
    text: str = ""
    claims: tuple[str, ...] = ()
    """Ids of registered claims."""
    packs: tuple[str, ...] = ()
    """Manifest digests of packs. The format is checked, not whether the packs exist."""
    by: str = ""
    at: str = ""
    """RFC 3339; set on saving."""

    @property
    def is_linked(self) -> bool:
        return bool(self.claims or self.packs)

    @property
    def content(self) -> tuple[object, ...]:
        """Whether a person answered."""
        return self.answer, self.text, self.claims, self.packs


@dataclass(frozen=True)
class FilledChecklist:
    """One saved version of the answers for a system; append-only."""

    checklist_id: str
    version: int
    about: str
    """Vendor and system."""
    checklist_sha256: str
    questions: tuple[Question, ...]
    answers: tuple[Answer, ...]
    """One per question, in the same order."""
    saved_by: str
    saved_at: str

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hash_document(self.to_json())

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "schema": "assay/answers/1",
            "questions": [asdict(question) for question in self.questions],
            "answers": [_dump_answer(answer) for answer in self.answers],
        }

    def find(self, item_id: str) -> Answer | None:
        return next((answer for answer in self.answers if answer.item_id == item_id), None)


@dataclass(frozen=True)
class AnswerCount:
    """Number of answers by value; no total score is computed."""

    by_word: tuple[tuple[AnswerWord, int], ...]
    unlinked_yes: int
    """Answers of yes or partly without linked evidence."""

    def __getitem__(self, word: AnswerWord) -> int:
        return dict(self.by_word)[word]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.by_word)


_ITEM = record({"id": ID, "question": WORDS, "good": WORDS, "links": list_of(one_of(*Link), least=1), "where": WORDS})
_LIST: Schema = record(
    {
        "schema": {"const": "assay/checklist/1"},
        "as_of": DATE,
        "title": WORDS,
        "source": record({"title": WORDS, "by": WORDS, "note": TEXT}),
        "sections": list_of(record({"id": ID, "title": WORDS, "items": list_of(_ITEM, least=1, most=100)}), least=1, most=20),
    }
)  # fmt: skip


def load_checklist(path: Path | None = None) -> Checklist:
    """Read a checklist; by default the shipped one.

    Raises:
        Refused: not strict JSON, not the format of docs/reference/governance.md, or a duplicate id.
    """
    return _load_shipped() if path is None else parse_checklist(path.read_bytes(), path.name)


def parse_checklist(data: bytes, name: str = "checklist.json") -> Checklist:
    """Read a checklist from bytes; see `load_checklist`."""
    try:
        document = load_strict(data)
    except NotStrictJson as error:
        raise _refuse_list(name, str(error)) from error
    if found := find_violation(document, _LIST):
        raise _refuse_list(name, found)
    sections = tuple(
        ChecklistSection(row["id"], row["title"], tuple(_read_item(item) for item in row["items"]))
        for row in document["sections"]
    )
    ids = Counter(item.id for section in sections for item in section.items)
    if twice := [one for one, times in ids.items() if times > 1]:
        raise _refuse_list(name, f"the item {twice[0]} is listed twice")
    source = f"{document['source']['title']}, by {document['source']['by']}. {document['source']['note']}"
    return Checklist(document["as_of"], document["title"], source.strip(), sections, hash_document(document))


def complete_answers(checklist: Checklist, answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """Return one answer per question; missing ones are unanswered.

    Raises:
        Refused: an answer to an unknown question, two answers to one, one that is too long, or an invalid link.
    """
    known = {item.id for item in checklist.items}
    given = {answer.item_id: answer for answer in answers}
    if len(given) < len(answers):
        raise _refuse_answer("Two answers to one question.", "one answer per question.")
    for answer in answers:
        if answer.item_id not in known:
            raise _refuse_answer(f"An answer to {answer.item_id[:40]!r}.", "answers to questions of this list.")
        _check_answer(answer)
    return tuple(given.get(item.id, Answer(item.id, AnswerWord.UNANSWERED)) for item in checklist.items)


def count_answers(answers: Sequence[Answer]) -> AnswerCount:
    """Count the answers by value."""
    tally = Counter(answer.answer for answer in answers)
    bare = [row for row in answers if row.answer in (AnswerWord.YES, AnswerWord.PARTLY) and not row.is_linked]
    return AnswerCount(tuple((word, tally[word]) for word in AnswerWord), len(bare))


def parse_answers(rows: Sequence[dict[str, Any]]) -> tuple[Answer, ...]:
    """Parse answers written by `FilledChecklist.to_json`."""
    return tuple(
        Answer(**row | {"answer": AnswerWord(row["answer"]), "claims": tuple(row["claims"]), "packs": tuple(row["packs"])})
        for row in rows
    )  # fmt: skip


@cache
def _load_shipped() -> Checklist:
    return load_checklist(SHIPPED_CHECKLIST)


def _read_item(row: dict[str, Any]) -> ChecklistItem:
    return ChecklistItem(**row | {"links": tuple(Link(link) for link in row["links"])})


def _dump_answer(answer: Answer) -> dict[str, Any]:
    return asdict(answer) | {"answer": answer.answer.value, "claims": list(answer.claims), "packs": list(answer.packs)}


def _check_answer(answer: Answer) -> None:
    if len(answer.text) > MAX_TEXT or max(len(answer.claims), len(answer.packs)) > MAX_LINKS:
        raise _refuse_answer(
            f"{answer.item_id}: {len(answer.text):,} characters and {len(answer.claims) + len(answer.packs)} links.",
            f"at most {MAX_TEXT:,} characters, and {MAX_LINKS} links of a kind.",
        )
    if answer.answer is AnswerWord.NOT_APPLICABLE and not answer.text.strip():
        raise _refuse_answer(f"{answer.item_id}: not applicable, without a reason.", "the reason.")
    wrong = [one for one in answer.claims if not _CLAIM.fullmatch(one)]
    wrong += [one for one in answer.packs if not _DIGEST.fullmatch(one)]
    if wrong:
        raise _refuse_answer(
            f"{answer.item_id}: the link {wrong[0][:70]!r}.",
            "claim ids such as C-0001, and digests of manifests: 64 hexadecimal digits in lower case.",
        )


def _refuse_list(name: str, found: str) -> Refused:
    return Refused(
        f"{name}: {found}.",
        wanted="a checklist in the format of docs/reference/governance.md.",
        remedy="fix the file.",
    )


def _refuse_answer(found: str, wanted: str) -> Refused:
    return Refused(found, wanted=wanted, remedy="change the answer and save again; nothing was saved.")
