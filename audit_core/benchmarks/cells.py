"""What formats share: texts of a row, letters of options, and options that a text lists."""

from __future__ import annotations

import re
from collections.abc import Sequence

from audit_core.benchmarks.item import BadRow, Cells, RawFile

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def read_text(row: Cells, *names: str) -> str:
    """The first of these fields that holds text or a number.

    Raises:
        BadRow: none does.
    """
    for name in names:
        value = row.get(name) if isinstance(row, dict) else None
        if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
            return str(value)
    raise BadRow(f"no text under {' or '.join(map(repr, names))}", "give it as a string")


def have_fields(file: RawFile, *names: str) -> bool:
    """Whether the first row is an object with all of these fields."""
    first = file.rows[0][1] if file.rows else []
    return isinstance(first, dict) and all(name in first for name in names)


def find_letter(text: str, letters: Sequence[str]) -> int:
    """Index of an option that is named by its letter, or by its number from 1 where letters are numbers.

    Raises:
        BadRow: no option has that letter.
    """
    wanted = text.strip().strip("().").casefold()
    for at, letter in enumerate(letters):
        if letter.casefold() == wanted:
            return at
    raise BadRow(f"the answer {text[:20]!r} names no option", f"name one of {', '.join(letters)}")


def list_lettered(text: str) -> tuple[str, ...]:
    """Letters of the options that a text lists in lines such as `(A) 7`."""
    return tuple(re.findall(r"^\(([A-Z])\)", text, flags=re.MULTILINE))


def name_category(name: str) -> str:
    """Category of all items of a file from its name: `global_facts_test.csv` → `global facts`."""
    stem = re.sub(r"\.[a-z]+$", "", name.rsplit("/", 1)[-1], flags=re.IGNORECASE)
    return re.sub(r"[_-](test|dev|val|train|first\d+)", "", stem).replace("_", " ")[:80]
