"""CSV, TSV and semicolon-separated text with a header line, RFC 4180 quoting and any line ends."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator

from audit_core.errors import PromptRefused
from audit_core.prompt_files.table import (
    MAX_COLUMNS,
    MAX_PROMPTS,
    Row,
    RowFault,
    Table,
    refuse_columns,
    refuse_rows,
)

_FORMS = {",": "CSV", "\t": "TSV", ";": "CSV with semicolons"}
_ORDER = ("clean", "corrupted", "answer", "foil", "template", "id")
"""Columns of a table without a header."""
_FAMILIAR = frozenset(
    ("id", "clean", "corrupted", "corrupt", "answer", "answers", "foil", "wrong_answers", "template", "group", "source",
     "label", "correct_idx")
)  # fmt: skip


def read_delimited(text: str, name: str) -> Table:
    """Read delimited text with the separator that gives the most known column names in the first line.

    Raises:
        PromptRefused: the first line is not a header, or there are too many columns or rows.
    """
    headers = {mark: header for mark in _FORMS if (header := _read_header(text, mark)) is not None}
    if not headers:
        raise PromptRefused(
            f"{name} is neither JSON nor a table: its first line does not contain column names.",
            wanted="CSV or TSV with a first line of column names, JSON, JSON Lines, Parquet or Arrow.",
            remedy="check the file's format and its closing quotation marks.",
        )
    mark = max(headers, key=lambda mark: (len(_FAMILIAR & set(headers[mark])), len(headers[mark])))
    return _read_rows(text, mark, headers[mark])


def has_header(text: str) -> bool:
    """Check whether the first line names at least one known column."""
    return any(_FAMILIAR & {cell.casefold() for cell in _read_header(text, mark) or ()} for mark in _FORMS)


def add_header(text: str) -> str:
    """Name the columns of a table without a header, in the order of `_ORDER`; further columns get a number."""
    width, mark = max((len(_read_header(text, mark) or ()), mark) for mark in _FORMS)
    names = [_ORDER[at] if at < len(_ORDER) else f"column {at + 1}" for at in range(max(width, 1))]
    return mark.join(names) + "\n" + text.lstrip("\ufeff")


def _read_header(text: str, mark: str) -> tuple[str, ...] | None:
    try:
        return _skip_to_header(csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True))
    except csv.Error:
        return None


def _skip_to_header(reader: Iterator[list[str]]) -> tuple[str, ...]:
    """Return the first non-empty line."""
    return next((tuple(cell.strip() for cell in cells) for cells in reader if cells), ())


def _read_rows(text: str, mark: str, header: tuple[str, ...]) -> Table:
    form = _FORMS[mark]
    if len(header) > MAX_COLUMNS:
        raise refuse_columns(form, len(header))
    # Columns with the same name are ambiguous, so none of them is read.
    repeated = {name for name, times in Counter(header).items() if times > 1 and name}
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    _skip_to_header(reader)
    rows: list[Row] = []
    faults: list[RowFault] = []
    number = 0
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            cells, problem = [], f"not {form} ({error})"
        else:
            if cells is None:
                break
            if not any(cells):
                continue
            problem = f"{len(cells):,} cells for {len(header)} column names" if len(cells) != len(header) else ""
        if number == MAX_PROMPTS:
            raise refuse_rows(form)
        number += 1
        place = f"line {start}"
        if problem:
            remedy = "quote cells that contain the separator, a quotation mark or a line break, and close the quotes"
            faults.append(RowFault("", problem, remedy, "cells", place))
        else:
            values = {name: cell for name, cell in zip(header, cells) if name and name not in repeated}
            rows.append(Row(place, number, values))
    notices = tuple(f"Column {name[:40]!r} occurs more than once and is not read." for name in sorted(repeated))
    columns = tuple(name for name in header if name and name not in repeated)
    return Table(form, columns, tuple(rows), tuple(faults), notices, is_text_only=True)
