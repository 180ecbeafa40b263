"""Read a file into valid rows without repeats, and faults of the other rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from audit_core.errors import PromptRefused
from audit_core.prompt_files.fields import RowFields, check_rows
from audit_core.prompt_files.folder import read_bounded, read_folder
from audit_core.prompt_files.forms import ACCEPTED, read_table
from audit_core.prompt_files.layouts import find_missing, fit_columns
from audit_core.prompt_files.table import Row, RowFault, Table

_MAX_REPORTED = 20


@dataclass(frozen=True)
class ReadRows:
    """Content of a prompt file: valid rows, and faults of the other rows."""

    name: str
    form: str
    """The detected format, in words."""
    rows: tuple[RowFields, ...]
    faults: tuple[RowFault, ...]
    notices: tuple[str, ...]
    n_rows: int
    """Number of rows in the file, including invalid ones and repeats."""
    n_repeats: int
    cells: tuple[Row, ...] = field(default=(), repr=False)
    """Every readable row of the file in order, with unchecked values by field."""


@dataclass(frozen=True)
class FoundColumns:
    """Columns of a file, and required fields without a column."""

    form: str
    columns: tuple[str, ...]
    missing: tuple[str, ...]


def find_columns(raw: bytes, *, name: str) -> FoundColumns:
    """Return the columns of a file, so that a user can map required fields without a column."""
    table = read_table(raw, name)
    return FoundColumns(table.form, table.columns, find_missing(table, {}) if table.rows else ())


def read_rows(raw: bytes, *, name: str, columns: Mapping[str, str] | None = None) -> ReadRows:
    """Read the valid rows from the bytes of a file.

    Args:
        columns: field → column of the file, if the names differ.

    Raises:
        PromptRefused: too large, an unsupported format, or a required field without a column.
    """
    return _read_table(read_table(raw, name), name, columns or {})


def read_row_file(path: Path | str, *, columns: Mapping[str, str] | None = None) -> ReadRows:
    """Read the valid rows from a file or a `datasets` folder.

    Raises:
        PromptRefused: no such file, or as `read_rows`.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _read_table(read_folder(path), path.resolve().name, columns or {})
        if not path.exists():
            raise PromptRefused(f"No file {path}.", wanted="a prompt set: " + ACCEPTED, remedy="check the path.")
        raw = read_bounded(path)
    except OSError as error:
        raise PromptRefused(
            f"{path} cannot be read: {error.strerror}.", wanted="a readable file.", remedy="check path and permissions."
        ) from error
    return read_rows(raw, name=path.stem, columns=columns)


def count_unspaced(read: ReadRows) -> int:
    """Count the rows with an answer or foil that would continue the last word of its prompt."""
    return sum(_add_space(row) != row for row in read.rows)


def add_spaces(read: ReadRows) -> ReadRows:
    """Return the rows with a space before each answer and foil that would continue the last word of its prompt."""
    rows = {row.place: _add_space(row) for row in read.rows}
    cells = tuple(
        replace(cell, values={**cell.values, "answer": list(row.answers), "foil": list(row.foils)})
        if (row := rows.get(cell.place)) is not None
        else cell
        for cell in read.cells
    )
    return replace(read, rows=tuple(rows.values()), cells=cells)


def _add_space(row: RowFields) -> RowFields:
    if not (row.clean[-1:].isalpha() and row.corrupted[-1:].isalpha()):
        return row
    answers, foils = (
        tuple(f" {text}" if text[:1].isalpha() else text for text in texts) for texts in (row.answers, row.foils)
    )
    return replace(row, answers=answers, foils=foils)


def refuse_faults(read: ReadRows) -> ReadRows:
    """Return the rows if all are valid.

    Raises:
        PromptRefused: rows are invalid; the message names the first ones.
    """
    if read.faults:
        more = f" (and {len(read.faults) - _MAX_REPORTED} more)" if len(read.faults) > _MAX_REPORTED else ""
        raise PromptRefused(
            f"{read.name}, read as {read.form}: " + "; ".join(map(str, read.faults[:_MAX_REPORTED])) + more + ".",
            wanted="clean, corrupted, answer and foil in every row.",
            remedy="fix or remove these rows; `prompts check FILE` lists all of them and can write the valid ones.",
        )
    return read


def _read_table(table: Table, name: str, columns: Mapping[str, str]) -> ReadRows:
    fitted = fit_columns(table, name, columns)
    found, faults = check_rows(fitted)
    kept, conflicts, n_repeats = _set_repeats_aside(found)
    repeats = (f"{n_repeats} rows repeat another one and were removed.",) if n_repeats else ()
    n_rows = len(found) + len({(fault.place, fault.row_id) for fault in faults})
    faults, notices = (*faults, *conflicts), (*fitted.notices, *repeats)
    return ReadRows(name, fitted.form, kept, faults, notices, n_rows, n_repeats, fitted.rows)


def _set_repeats_aside(rows: Sequence[RowFields]) -> tuple[tuple[RowFields, ...], tuple[RowFault, ...], int]:
    """Remove repeats; if two different rows share an id, the later one is invalid."""
    kept: dict[str, RowFields] = {}
    faults: list[RowFault] = []
    for row in rows:
        if kept.setdefault(row.id, row) != row:
            text = "id used more than once, for different rows"
            faults.append(RowFault(row.id, text, "use a unique id for each row", "id_used_twice", row.place))
    return tuple(kept.values()), tuple(faults), len(rows) - len(kept) - len(faults)
