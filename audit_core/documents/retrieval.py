"""Retrieval: the documents of each question are the first hits of a retriever, frozen in a file before anything is measured."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

from audit_core.documents.form import MAX_DOCUMENTS, flatten
from audit_core.documents.reading import MAX_CHARACTERS, MAX_FILE_BYTES, SPLIT, read_csv
from audit_core.errors import Refused
from audit_core.retriever import Retriever

MAX_PASSAGES = 10_000
MAX_FILES = 200
_NEEDED = ("question", "answer")
_TEXT = ("passage", "text")


@dataclass(frozen=True)
class Retrieved:
    """Questions with their retrieved documents."""

    raw: bytes
    """A CSV file that the audit of documents reads."""
    n_questions: int
    n_passages: int
    passages_sha256: str
    """Digest of all passages in order."""
    retriever: str
    """What ranked them, with version or digest."""


def read_passages(files: Sequence[tuple[str, bytes]]) -> tuple[str, ...]:
    """Passages of text files, a paragraph each, and of CSV files, a row each (column `passage` or `text`); each once.

    Raises:
        Refused: too many or too large, not UTF-8, or no passage.
    """
    if len(files) > MAX_FILES or sum(len(raw) for _, raw in files) > MAX_FILE_BYTES:
        raise Refused(
            f"{len(files)} files with {sum(len(raw) for _, raw in files):,} bytes.",
            wanted=f"at most {MAX_FILES} files and {MAX_FILE_BYTES:,} bytes.", remedy="give fewer.",
        )  # fmt: skip
    found = [text for name, raw in files for text in _read_one(name, raw)]
    passages = tuple(dict.fromkeys(flat for text in found if (flat := _clean(text))))
    if not 1 <= len(passages) <= MAX_PASSAGES:
        raise Refused(
            f"{len(passages)} passages.", wanted=f"1 to {MAX_PASSAGES:,}.", remedy="give text or CSV files with passages."
        )  # fmt: skip
    return passages


def retrieve(
    raw: bytes, name: str, passages: Sequence[str], retriever: Retriever, *, most: int = 3, with_next: bool = True
) -> Retrieved:
    """Write questions with the first `most` passages of each, and the one after them.

    Args:
        with_next: whether the next hit is written, so that documents can be swapped with it.
        raw: CSV with the columns question and answer, and those that the audit of documents knows beside documents.

    Raises:
        Refused: the file cannot be read, or the retriever lacks something.
    """
    if not 1 <= most <= MAX_DOCUMENTS:
        raise Refused(f"{most} documents a question.", wanted=f"1 to {MAX_DOCUMENTS}.", remedy="change the number.")
    rows = [row for row in read_csv(raw, name, _NEEDED) if (row.get("question") or "").strip()]
    if not rows:
        raise Refused(f"{flatten(name)[:60]} has no question.", wanted="at least one.", remedy="add rows.")
    hits = retriever.rank(passages, [flatten(str(row["question"])) for row in rows], most + with_next)
    kept = ("id", "family", "others")
    out = io.StringIO(newline="")
    columns = ("question", "documents", "answer", *kept, "scores", "retriever", *(("next",) if with_next else ()))
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for row, found in zip(rows, hits, strict=True):
        mine, after = found[:most], found[most:]
        writer.writerow(
            {column: row.get(column) or "" for column in ("question", "answer", *kept)}
            | {
                "documents": SPLIT.join(passages[hit.passage] for hit in mine),
                "scores": SPLIT.join(f"{hit.score:.4f}" for hit in mine), "retriever": retriever.name,
            }
            | ({"next": passages[after[0].passage] if after else ""} if with_next else {})
        )  # fmt: skip
    digest = hashlib.sha256("\n".join(passages).encode()).hexdigest()
    return Retrieved(out.getvalue().encode(), len(rows), len(passages), digest, retriever.identify())


def _read_one(name: str, raw: bytes) -> list[str]:
    if name.lower().endswith(".csv"):
        rows = read_csv(raw, name, ())
        column = next((column for column in _TEXT if rows and column in rows[0]), None)
        if column is None:
            raise Refused(
                f"{flatten(name)[:60]} has no column passage.", wanted="it.", remedy="name it in the first line."
            )
        return [row[column] or "" for row in rows]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(
            f"{flatten(name)[:60]} is not UTF-8 text.", wanted="UTF-8.", remedy="save it so, or give CSV."
        ) from error
    return text.replace("\r\n", "\n").split("\n\n")


def _clean(text: str) -> str:
    """One line, without the separator of documents, and short enough for a document."""
    return flatten(text).replace(SPLIT, " / ")[:MAX_CHARACTERS]
