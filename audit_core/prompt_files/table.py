"""What every reader gives: rows under column names, the rows that could not be read, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audit_core.errors import PromptRefused

MAX_FILE_BYTES = 4_000_000
MAX_PROMPTS = 2_000
MAX_CHARACTERS = 4_000
MAX_ANSWERS = 200
"""Of one prompt: the two-digit numbers are a hundred."""
MAX_COLUMNS = 200
_SHOWN_COLUMNS = 12


@dataclass(frozen=True)
class Row:
    """One row as it was found; values are not checked yet."""

    place: str
    """Where it stands, such as `line 3` or `row 3`."""
    number: int
    """Counted from 1 over all rows of the file, bad ones included."""
    values: Mapping[str, object]


@dataclass(frozen=True)
class RowFault:
    """Why one row cannot be used."""

    row_id: str
    """The row's own id; empty where it has none that can be read."""
    text: str
    """What was found."""
    remedy: str = ""
    reason: str = "tokenizer"
    """One word for counting, such as `missing`."""
    place: str = ""

    @property
    def label(self) -> str:
        """The row's id, or else where it stands."""
        return f"row {self.row_id[:60]!r}" if self.row_id else self.place

    def __str__(self) -> str:
        return f"{self.label}: {self.text}" + (f"; {self.remedy}" if self.remedy else "")


@dataclass(frozen=True)
class Table:
    """Rows of one file."""

    form: str
    """The form that was recognised, in words."""
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    faults: tuple[RowFault, ...] = ()
    notices: tuple[str, ...] = ()
    is_text_only: bool = False
    """Cells have no type: an empty one is missing, and a JSON list in one is a list."""


def list_columns(rows: tuple[Row, ...]) -> tuple[str, ...]:
    """Every name that a row has, in the order of first use."""
    return tuple(dict.fromkeys(name for row in rows for name in row.values))


def show_columns(columns: tuple[str, ...]) -> str:
    """Some column names, quoted and short."""
    more = f" and {len(columns) - _SHOWN_COLUMNS:,} more" if len(columns) > _SHOWN_COLUMNS else ""
    return (", ".join(repr(name[:40]) for name in columns[:_SHOWN_COLUMNS]) or "none") + more


def refuse_rows(form: str) -> PromptRefused:
    """The refusal of a file with too many rows."""
    return PromptRefused(
        f"More than {MAX_PROMPTS:,} prompts, read as {form}.",
        wanted=f"at most {MAX_PROMPTS:,}.",
        remedy="take a sample.",
    )


def refuse_columns(form: str, found: int) -> PromptRefused:
    """The refusal of a file with too many columns."""
    return PromptRefused(
        f"{found:,} columns, read as {form}.",
        wanted=f"at most {MAX_COLUMNS}.",
        remedy="keep clean, corrupted, answer, foil, and template and id if there are such.",
    )
