"""Effect tables as CSV that is safe to open in a spreadsheet, with a CSVW file beside it that has units, meanings and origin."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from audit_core.errors import Refused
from audit_core.exchange.effect_parquet import read_about
from audit_core.exchange.effect_table import COLUMNS, MAX_ROWS, EffectRow, EffectTable
from audit_core.tables import is_formula
from audit_core.verifier.strict_json import NotStrictJson, load_strict

SIDECAR = "-metadata.json"
"""End of the name of the file beside a CSV file, as CSV on the Web names it."""
_QUOTE = "'"
_NOTE = "assay"
_DATATYPES = {"text": "string", "number": "double", "whole number": "integer"}


def write_csv(table: EffectTable) -> bytes:
    """The rows as UTF-8 CSV; numbers with all their digits, an empty cell where there is none."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_write_cell(getattr(row, name)) for name in COLUMNS] for row in table.rows)
    return stream.getvalue().encode()


def write_sidecar(table: EffectTable, csv_name: str) -> bytes:
    """The CSVW file: `csv_name` is the name of the CSV file, without its folder."""
    columns = [
        {"name": name, "titles": name, "datatype": _DATATYPES[kind], "dc:description": meaning}
        for name, (kind, meaning) in COLUMNS.items()
    ]
    document = {
        "@context": "http://www.w3.org/ns/csvw", "url": csv_name, "tableSchema": {"columns": columns},
        "notes": [{_NOTE: json.loads(table.about)}],
    }  # fmt: skip
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def read_csv(raw: bytes, sidecar: bytes, *, name: str) -> EffectTable:
    """Read the rows and what they are of.

    Args:
        sidecar: the bytes of the CSVW file beside it.

    Raises:
        Refused: not UTF-8, other columns, a cell that is not of its column's type, or no metadata; names the line.
    """
    about = read_about(_find_note(sidecar, name), f"{name}{SIDECAR}")
    try:
        reader = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True)
        header = tuple(next(reader, ()))
        if header != tuple(COLUMNS):
            raise Refused(
                f"{name} has other columns: {', '.join(header)[:200]!a}.", wanted=f"{', '.join(COLUMNS)}, in this order.",
                remedy="export the run again.",
            )  # fmt: skip
        rows: list[EffectRow] = []
        for cells in reader:
            if len(rows) == MAX_ROWS:
                raise Refused(f"{name} has more than {MAX_ROWS:,} rows.", wanted="fewer.", remedy="split it.")
            rows.append(_read_row(cells, f"{name}, line {reader.line_num}"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused(
            f"{name} cannot be read: {str(error)[:120]}.", wanted="CSV in UTF-8.", remedy="export the run again."
        ) from error
    return EffectTable(tuple(rows), about)


def _read_row(cells: list[str], place: str) -> EffectRow:
    if len(cells) != len(COLUMNS):
        raise Refused(f"{place} has {len(cells)} cells.", wanted=f"{len(COLUMNS)}.", remedy="correct the line.")
    values: list[Any] = []
    for (name, (kind, _)), cell in zip(COLUMNS.items(), cells, strict=True):
        try:
            values.append(_read_cell(cell, kind))
        except ValueError as error:
            raise Refused(
                f"{place} has {cell[:40]!a} as {name}.", wanted=f"a {kind}.", remedy="correct the cell."
            ) from error
    return EffectRow(*values)


def _write_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # A text that begins with the mark gets it too, so that a reader can take one away from any.
        return _QUOTE + value if value.startswith(_QUOTE) or is_formula(value) else value
    return repr(value)


def _read_cell(cell: str, kind: str) -> object:
    if kind == "text":
        return cell.removeprefix(_QUOTE)
    if not cell:
        return None
    if not cell.strip("0123456789+-.eEinfaN") == "":
        raise ValueError(cell)
    return int(cell) if kind == "whole number" else float(cell)


def _find_note(sidecar: bytes, name: str) -> bytes:
    try:
        found = load_strict(sidecar)
        notes = found.get("notes") if isinstance(found, dict) else None
        about = next(note[_NOTE] for note in notes or () if isinstance(note, dict) and _NOTE in note)
    except (NotStrictJson, StopIteration, TypeError) as error:
        raise Refused(
            f"{name}{SIDECAR} does not say what the numbers are of.", wanted="the CSVW file that `exchange effects` wrote.",
            remedy="keep both files together.",
        ) from error  # fmt: skip
    return json.dumps(about).encode()
