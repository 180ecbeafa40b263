"""Common output of all readers: rows by column name, unreadable rows, and notices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audit_core.errors import PromptRefused

MAX_FILE_BYTES = 4_000_000
MAX_PROMPTS = 2_000
MAX_CHARACTERS = 16_000
MAX_ANSWERS = 200
"""Limit of answers per prompt; the two-digit numbers are a hundred."""
MAX_COLUMNS = 200
_SHOWN_COLUMNS = 12


@dataclass(frozen=True)
class Row:
    """One row with unchecked values."""

    place: str
    """Location in the file, such as `line 3` or `row 3`."""
    number: int
    """Number from 1 over all rows of the file, including invalid ones."""
    values: Mapping[str, object]


@dataclass(frozen=True)
class RowFault:
    """Why a row is invalid."""

    row_id: str
    """The row's id; empty if it has no readable one."""
    text: str
    """The problem found."""
    remedy: str = ""
    reason: str = "tokenizer"
    """Category for counting, such as `missing`."""
    place: str = ""

    @property
    def label(self) -> str:
        """The row's id, or its location."""
        return f"row {self.row_id[:60]!r}" if self.row_id else self.place

    def __str__(self) -> str:
        return f"{self.label}: {self.text}" + (f"; {self.remedy}" if self.remedy else "")


@dataclass(frozen=True)
class Table:
    """Rows of one file."""

    form: str
    """The detected format, in words."""
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    faults: tuple[RowFault, ...] = ()
    notices: tuple[str, ...] = ()
    is_text_only: bool = False
    """Whether cells have no type: then an empty cell is missing, and a JSON list in a cell is a list."""


def list_columns(rows: tuple[Row, ...]) -> tuple[str, ...]:
    """Return the names of all rows, in the order of first use."""
    return tuple(dict.fromkeys(name for row in rows for name in row.values))


def show_columns(columns: tuple[str, ...]) -> str:
    """Return column names, quoted and truncated."""
    more = f" and {len(columns) - _SHOWN_COLUMNS:,} more" if len(columns) > _SHOWN_COLUMNS else ""
    return (", ".join(repr(name[:40]) for name in columns[:_SHOWN_COLUMNS]) or "none") + more


def refuse_rows(form: str) -> PromptRefused:
    """Return the error for a file with too many rows."""
    return PromptRefused(
        f"More than {MAX_PROMPTS:,} prompts, read as {form}.",
        wanted=f"at most {MAX_PROMPTS:,}.",
        remedy="take a sample.",
    )


def refuse_columns(form: str, found: int) -> PromptRefused:
    """Return the error for a file with too many columns."""
    return PromptRefused(
        f"{found:,} columns, read as {form}.",
        wanted=f"at most {MAX_COLUMNS}.",
        remedy="keep clean, corrupted, answer, foil, and template and id if present.",
    )
