"""The procurement checklist: questions to a vendor, and answers of which an unanswered one is neither yes nor no."""

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
    """What was answered; the last is what stands before anybody has."""

    YES = "yes"
    NO = "no"
    PARTLY = "partly"
    NOT_APPLICABLE = "not applicable"
    UNANSWERED = "unanswered"


class Link(StrEnum):
    """What of Assay an answer could point to."""

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
    """What a good answer looks like."""
    links: tuple[Link, ...]
    where: str
    """Which evidence here could be linked, or that there is none yet."""


@dataclass(frozen=True)
class ChecklistSection:
    id: str
    title: str
    items: tuple[ChecklistItem, ...]


@dataclass(frozen=True)
class Checklist:
    """The list as it ships, and the digest of its bytes' content."""

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
    """An item as it was asked: kept with the answers, so that they can be read whatever becomes of the list."""

    section: str
    item_id: str
    text: str


@dataclass(frozen=True)
class Answer:
    """One answer, by whom and when."""

    item_id: str
    answer: AnswerWord
    text: str = ""
    claims: tuple[str, ...] = ()
    """Ids of registered claims."""
    packs: tuple[str, ...] = ()
    """Digests of manifests, which stand for packs. A home keeps no packs: their form is checked, not that they exist."""
    by: str = ""
    at: str = ""
    """RFC 3339; given when it is saved."""

    @property
    def is_linked(self) -> bool:
        return bool(self.claims or self.packs)

    @property
    def content(self) -> tuple[object, ...]:
        """What a person put in."""
        return self.answer, self.text, self.claims, self.packs


@dataclass(frozen=True)
class FilledChecklist:
    """One saved version of the answers about one system; append-only."""

    checklist_id: str
    version: int
    about: str
    """Vendor and system."""
    checklist_sha256: str
    questions: tuple[Question, ...]
    answers: tuple[Answer, ...]
    """One for each question, in their order."""
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
    """How many of each word; they are never added up to a score."""

    by_word: tuple[tuple[AnswerWord, int], ...]
    unlinked_yes: int
    """Answers of yes or partly that point to no evidence."""

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
    """Read a checklist; the shipped one unless told otherwise.

    Raises:
        Refused: not strict JSON, not of the form that docs/reference/governance.md gives, or one id twice.
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
        raise _refuse_list(name, f"the item {twice[0]} stands there twice")
    source = f"{document['source']['title']}, by {document['source']['by']}. {document['source']['note']}"
    return Checklist(document["as_of"], document["title"], source.strip(), sections, hash_document(document))


def complete_answers(checklist: Checklist, answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """One answer for each question: what nobody answered is unanswered.

    Raises:
        Refused: an answer to no question of the list, two to one, one that is too long, or a link that is none.
    """
    known = {item.id for item in checklist.items}
    given = {answer.item_id: answer for answer in answers}
    if len(given) < len(answers):
        raise _refuse_answer("Two answers to one question.", "one each.")
    for answer in answers:
        if answer.item_id not in known:
            raise _refuse_answer(f"An answer to {answer.item_id[:40]!r}.", "answers to questions of this list.")
        _check_answer(answer)
    return tuple(given.get(item.id, Answer(item.id, AnswerWord.UNANSWERED)) for item in checklist.items)


def count_answers(answers: Sequence[Answer]) -> AnswerCount:
    """How many of each word."""
    tally = Counter(answer.answer for answer in answers)
    bare = [row for row in answers if row.answer in (AnswerWord.YES, AnswerWord.PARTLY) and not row.is_linked]
    return AnswerCount(tuple((word, tally[word]) for word in AnswerWord), len(bare))


def parse_answers(rows: Sequence[dict[str, Any]]) -> tuple[Answer, ...]:
    """Answers as `FilledChecklist.to_json` writes them."""
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
        raise _refuse_answer(f"{answer.item_id}: not applicable, without a reason.", "why it is not.")
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
        wanted="a checklist as docs/reference/governance.md describes it.",
        remedy="mend the file.",
    )


def _refuse_answer(found: str, wanted: str) -> Refused:
    return Refused(found, wanted=wanted, remedy="change the answer and save again; nothing was saved.")
