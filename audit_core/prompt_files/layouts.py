"""Assignment of columns to fields: by name, by a mapping, or by a known public layout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from audit_core.errors import PromptRefused
from audit_core.prompt_files.table import Row, RowFault, Table, show_columns

NEEDED = ("clean", "corrupted", "answer", "foil")
FIELDS = ("id", *NEEDED, "template", "group", "source", "form")
_AUTO_CIRCUIT = {"clean": "clean", "corrupted": "corrupt", "answer": "answers", "foil": "wrong_answers"}
_YEARS = ("label", "correct_idx")
"""Columns with the two digits of the year in EAP-IG's greater-than data."""
_YEAR = re.compile(r"(?<!\d)(\d\d)(\d\d)(?!\d)")


def parse_columns(texts: Iterable[str]) -> dict[str, str]:
    """Read `field=column` pairs.

    Raises:
        PromptRefused: another format, an unknown field, or a duplicate field.
    """
    found: dict[str, str] = {}
    for text in texts:
        field, mark, column = text.partition("=")
        if not mark or not column or field not in FIELDS or field in found:
            raise PromptRefused(
                f"--column {text[:60]!r}.",
                wanted=f"FIELD=COLUMN, each field once; fields: {', '.join(FIELDS)}.",
                remedy="use this format, such as --column answer=label.",
            )
        found[field] = column
    return found


def find_missing(table: Table, columns: Mapping[str, str]) -> tuple[str, ...]:
    """Return required fields without a column, by name, mapping or known layout."""
    named = _name_columns(table, columns)
    if _is_years(table, named):
        return ()
    return tuple(field for field in NEEDED if field not in named)


def fit_columns(table: Table, name: str, columns: Mapping[str, str]) -> Table:
    """Return the rows with standard field names; a notice names unread columns.

    Raises:
        PromptRefused: a required field has no column, or a mapping names an unknown column.
    """
    named = _name_columns(table, columns)
    absent = [column for field, column in columns.items() if named.get(field) != column]
    if table.columns and absent:
        raise PromptRefused(
            f"{name}, read as {table.form}, has no column {absent[0][:40]!r}. Its columns: {show_columns(table.columns)}.",
            wanted="--column FIELD=COLUMN with a column of the file.",
            remedy="choose one of them.",
        )
    if _is_years(table, named):
        return _read_years(table, named)
    missing = [field for field in NEEDED if field not in named]
    if table.columns and missing:
        raise _refuse_missing(table, name, missing)
    return _note_unread(_rename(table, named), table, named.values())


def _name_columns(table: Table, columns: Mapping[str, str]) -> dict[str, str]:
    """Return field → column of the file."""
    exact = {field: field for field in FIELDS if field in table.columns}
    loose = {_simplify(column): column for column in reversed(table.columns)}
    layout = _AUTO_CIRCUIT if {"corrupt", "answers", "wrong_answers"} <= set(table.columns) else {}
    guessed = {field: loose[field] for field in FIELDS if field in loose}
    return guessed | layout | exact | {field: name for field, name in columns.items() if name in table.columns}


def _simplify(column: str) -> str:
    return column.strip().casefold().replace(" ", "_")


def _rename(table: Table, named: Mapping[str, str]) -> Table:
    rows = tuple(
        replace(row, values={field: row.values[column] for field, column in named.items() if column in row.values})
        for row in table.rows
    )
    return replace(table, rows=rows)


def _note_unread(fitted: Table, table: Table, used: Iterable[str]) -> Table:
    left = tuple(column for column in table.columns if column not in set(used))
    notice = (f"Columns not read: {show_columns(left)}.",) if left else ()
    return replace(fitted, notices=(*table.notices, *notice))


def _refuse_missing(table: Table, name: str, missing: list[str]) -> PromptRefused:
    line = " (line 1)" if table.is_text_only else ""
    found = f"{name}, read as {table.form}, has no column {', '.join(missing)}. Its columns{line}: {show_columns(table.columns)}."
    if {"correct_idx", "incorrect_idx"} <= set(table.columns):
        return PromptRefused(
            found + " correct_idx and incorrect_idx are token ids of a tokenizer that the file does not name.",
            wanted="answers as text.",
            remedy="decode them with that tokenizer, into columns answer and foil.",
        )
    example = " ".join(f"--column {field}=COLUMN" for field in missing)
    return PromptRefused(
        found,
        wanted=f"columns {', '.join(NEEDED)}; template and id are optional. In JSON Lines: one object per line with these names.",
        remedy=f"map the columns ({example}), or rename them.",
    )


def _is_years(table: Table, named: Mapping[str, str]) -> bool:
    """Check at least one row for this layout, because such column names are common."""
    if {"answer", "foil"} & set(named) or not {"clean", "corrupted"} <= set(named) or "incorrect_idx" in table.columns:
        return False
    columns = [column for column in _YEARS if column in table.columns]
    return any(_read_year(row, named["clean"], column) is not None for column in columns for row in table.rows)


def _read_years(table: Table, named: Mapping[str, str]) -> Table:
    """Expand a greater-than row: every two-digit year above that of the clean prompt is correct, all others are foils."""
    column = next(column for column in _YEARS if column in table.columns)
    rows: list[Row] = []
    faults = list(table.faults)
    years = [f"{digits:02d}" for digits in range(100)]
    for original, row in zip(table.rows, _rename(table, named).rows):
        year = _read_year(original, named["clean"], column)
        if year is None:
            found = str(original.values.get(column, ""))[:20]
            text = f"{column} {found!r} is not the last two digits, 00 to 98, of the year in the clean prompt"
            remedy = "correct it, or add answer and foil as texts"
            faults.append(RowFault("", text, remedy, "not_a_year", row.place))
        else:
            rows.append(replace(row, values={**row.values, "answer": years[year + 1 :], "foil": years[: year + 1]}))
    fitted = replace(table, form=f"{table.form}, greater-than", rows=tuple(rows), faults=tuple(faults))
    return _note_unread(fitted, table, (*named.values(), column))


def _read_year(row: Row, clean: str, column: str) -> int | None:
    """Return the two digits of a row's year; None if label and prompt differ or there is no later year."""
    digits = str(row.values.get(column, "")).strip()
    year = _find_year(str(row.values.get(clean, "")))
    is_same = digits.isascii() and digits.isdigit() and len(digits) <= 2 and int(digits) == year
    return year if is_same and year != 99 else None


def _find_year(text: str) -> int | None:
    """Return the last two digits of the only year in a prompt that ends in the first two; None if there is none."""
    found = _YEAR.findall(text)
    return int(found[0][1]) if len(found) == 1 and text.endswith(found[0][0]) else None
