"""The text that a reader is shown: numbered documents, one a line, then the beginning of the sentence that it completes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from audit_core.errors import PromptRefused

MAX_DOCUMENTS = 6
"""All sets of the documents are run: 64 of six."""
_LAST = "Summary:"


def write_documents(documents: Sequence[str], question: str) -> tuple[str, ...]:
    """Parts of the text in order: label and body of each document, the text before the question, and the question.

    Example:
        >>> write_documents(["Anna lives in Paris."], "Anna lives in")
        ('[1]', ' Anna lives in Paris.', '\\nSummary:', ' Anna lives in')
    """
    parts: list[str] = []
    for number, text in enumerate(documents, 1):
        parts += [f"[{number}]" if number == 1 else f"\n[{number}]", f" {flatten(text)}"]
    return (*parts, f"\n{_LAST}" if parts else _LAST, f" {flatten(question)}")


def read_documents(text: str) -> tuple[tuple[str, ...], str]:
    """Documents and question of a text in this form: one a line, so that no document can begin another.

    Raises:
        PromptRefused: the text has another form, or more than `MAX_DOCUMENTS` documents.
    """
    *lines, last = text.split("\n")
    documents = []
    for number, line in enumerate(lines, 1):
        label = f"[{number}] "
        if not line.startswith(label):
            raise _refuse(f"line {number} does not begin with {label.strip()}")
        documents.append(line.removeprefix(label))
    if not last.startswith(f"{_LAST} "):
        raise _refuse(f"its last line does not begin with {_LAST}")
    if not 1 <= len(documents) <= MAX_DOCUMENTS:
        raise _refuse(f"it has {len(documents)} documents")
    return tuple(documents), last.removeprefix(f"{_LAST} ")


def flatten(text: str) -> str:
    """One line without control characters: what a file holds cannot add a line to the text."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text).strip()


def _refuse(found: str) -> PromptRefused:
    return PromptRefused(
        f"A prompt without documents: {found}.",
        wanted=f"1 to {MAX_DOCUMENTS} lines such as `[1] Anna lives in Paris.`, then `{_LAST} Anna lives in`.",
        remedy="give a file of questions with documents, or choose prompts of this form.",
    )
