"""Questions with documents from the bytes of a CSV file: bounded, nothing executed, every refusal with row and remedy."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from audit_core.capability import DOCUMENTS
from audit_core.documents.fillers import choose_filler, list_content
from audit_core.documents.form import MAX_DOCUMENTS, flatten
from audit_core.documents.question import Question, encode_question, encode_values, write_source
from audit_core.documents.results import DocumentSource
from audit_core.errors import NotMeasured, PromptRefused, Refused
from audit_core.prompts.alignment import MAX_TOKENS
from audit_core.prompts.answers import Contrast
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts, TokenPair
from audit_core.subject import Subject

MAX_FILE_BYTES = 4 * 1024**2
MAX_ROWS = 5_000
MAX_CHARACTERS = 2_000
"""Longest document, question or answer."""
MOST_OTHERS = 60
_NEEDED = ("question", "documents", "answer")
SPLIT = " | "
"""What separates documents, answers, other values and scores in a cell."""


@dataclass(frozen=True)
class AskedRow:
    """A row of a file."""

    place: str
    question: Question


def read_questions(raw: bytes, name: str) -> tuple[tuple[AskedRow, ...], Counter[str]]:
    """Rows of a file, and why rows were left out.

    Columns: question (the beginning of a sentence), documents (apart by ` | `), answer (several apart by ` | `); optional
    id, family, others (other values apart by ` | `), cited (number of the cited document), scores (of the retriever, apart
    by ` | `) and next (the document that the ranking has after the last one).

    Raises:
        Refused: too large, not UTF-8 CSV, a column is missing, or no row is usable.
    """
    left: Counter[str] = Counter()
    found: list[AskedRow] = []
    for number, row in enumerate(read_csv(raw, name, _NEEDED), 2):
        cells = {key: (value or "").strip() for key, value in row.items() if key}
        why = _explain_unusable(cells)
        if why:
            left[why] += 1
            continue
        cited = cells.get("cited", "")
        documents = _split(cells["documents"])
        question = Question(
            flatten(cells.get("id", ""))[:60] or f"row {number}", flatten(cells.get("family", ""))[:60] or "all",
            documents, flatten(cells["question"]), tuple(dict.fromkeys(_split(cells["answer"]))),
            tuple(dict.fromkeys(_split(cells.get("others", "")))),
            int(cited) - 1 if cited.isdecimal() and 0 < int(cited[:3]) <= len(documents) else None,
            _read_scores(cells.get("scores", ""), len(documents)), flatten(cells.get("next", "")),
        )  # fmt: skip
        found.append(AskedRow(f"line {number}", question))
    if not found:
        raise Refused(
            f"{flatten(name)[:60]}: no row can be used: {'; '.join(left) or 'it has none'}.",
            wanted="rows with a question, documents and an answer.", remedy="fix these rows.",
        )  # fmt: skip
    return _lend_values(found), left


def ask_documents(raw: bytes, name: str, subject: Subject, *, most: int) -> tuple[TokenisedPrompts, DocumentSource]:
    """Prompts of at most this many questions, spread evenly over the file.

    Raises:
        Refused: as `read_questions`, or no question fits this model.
    """
    rows, left = read_questions(raw, name)
    n = min(most, len(rows))
    few = [rows[at * len(rows) // n] for at in range(n)]
    pairs: list[TokenPair] = []
    for row in few:
        found = _ask(row.question, subject)
        if isinstance(found, str):
            left[found] += 1
        else:
            pairs.append(found)
    if not pairs:
        raise Refused(
            f"{flatten(name)[:60]}: no question can be asked of this model: {'; '.join(left)}.",
            wanted="values that differ in their first token, and short documents.", remedy="shorten or change the rows.",
        )  # fmt: skip
    source = DocumentSource(
        flatten(name)[:120], hashlib.sha256(raw).hexdigest(), len(rows), tuple(sorted(left.items()))
    )
    rows_set = PromptSet(source.name, tuple(pair.prompt for pair in pairs))
    return TokenisedPrompts(source.name, tuple(pairs), rows_set.sha256), source


def _ask(question: Question, subject: Subject) -> TokenPair | str:
    """One question as a prompt, or why it cannot be asked."""
    reader, tokenizer = DOCUMENTS.of(subject), subject.tokenizer
    try:
        values = encode_values(question, reader, tokenizer)
        encoded = encode_question(question, reader, tokenizer)
        banned = list_content(" ".join((question.text, *question.answers, *question.others)))
        bodies = [choose_filler(len(b), banned, tokenizer, number=at, seed=0) for at, b in enumerate(encoded.bodies)]
    except PromptRefused as error:
        return error.found.partition(": ")[2] or error.found
    except NotMeasured as error:
        return str(error)
    ids = encoded.join(encoded.bodies)
    if len(ids) > min(MAX_TOKENS, tokenizer.limits.n_positions or MAX_TOKENS):
        return f"longer than {MAX_TOKENS} tokens"
    text, empty = ("".join(reader.write_documents(documents, question.text)) for documents in (question.documents, ()))
    kept = [value for value in question.others if value in values]
    prompt = Prompt(
        question.id, text, empty, f" {question.answers[0]}", f" {kept[0]}", question.family, question.family,
        write_source(question),
        more_answers=tuple(f" {one}" for one in question.answers[1:]), more_foils=tuple(f" {one}" for one in kept[1:]),
    )  # fmt: skip
    right, wrong = (tuple((values[one],) for one in side) for side in (question.answers, kept))
    return TokenPair(prompt, ids, encoded.join(bodies), Contrast((), right, wrong), (), (), True)


def read_csv(raw: bytes, name: str, needed: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV file.

    Raises:
        Refused: too large, not UTF-8 CSV, or a column is missing.
    """
    shown = flatten(name)[:60]
    if len(raw) > MAX_FILE_BYTES:
        raise Refused(
            f"{shown} is larger than {MAX_FILE_BYTES // 1024**2} MB.", wanted="a smaller file.", remedy="split it."
        )
    try:
        reader = csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True)
        rows = []
        for row in reader:
            rows.append(row)
            if len(rows) > MAX_ROWS:
                raise Refused(f"{shown} has more than {MAX_ROWS:,} rows.", wanted="fewer.", remedy="split it.")
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused(
            f"{shown} is not CSV as UTF-8 text ({str(error)[:80]}).", wanted="CSV with a header.", remedy="save it so."
        ) from error
    missing = [column for column in needed if column not in (reader.fieldnames or ())]
    if missing:
        raise Refused(
            f"{shown} has no column {' or '.join(missing)}.", wanted=f"the columns {', '.join(needed)}.",
            remedy="name them in the first line.",
        )  # fmt: skip
    return rows


def _explain_unusable(cells: dict[str, str]) -> str:
    if not all(cells.get(column) for column in _NEEDED):
        return "a question, documents or an answer is missing"
    texts = (cells["question"], cells["answer"], cells.get("next", ""), *_split(cells["documents"]))
    if any(len(text) > MAX_CHARACTERS for text in texts):
        return f"a text of more than {MAX_CHARACTERS:,} characters"
    n = len(_split(cells["documents"]))
    return "" if 1 <= n <= MAX_DOCUMENTS else f"{n} documents, at most {MAX_DOCUMENTS} can be audited"


def _read_scores(text: str, n: int) -> tuple[float, ...]:
    """The retriever's scores; none unless there is a number for each document."""
    parts = _split(text)
    try:
        scores = tuple(map(float, parts))
    except ValueError:
        return ()
    return scores if len(scores) == n and all(map(math.isfinite, scores)) else ()


def _split(text: str) -> tuple[str, ...]:
    return tuple(flat for part in text.split(SPLIT) if (flat := flatten(part)))


def _lend_values(rows: list[AskedRow]) -> tuple[AskedRow, ...]:
    """Rows without other values get the answers of the other rows of their family."""
    pools: dict[str, list[str]] = {}
    for row in rows:
        pools.setdefault(row.question.family, []).extend(row.question.answers)
    lent = []
    for row in rows:
        own = row.question
        pool = own.others or tuple(dict.fromkeys(pools[own.family]))
        others = tuple(value for value in pool if value not in own.answers)[:MOST_OTHERS]
        lent.append(replace(row, question=replace(own, others=others)))
    return tuple(lent)
