"""JSON Lines, a JSON array of rows, or a JSON object with one list of rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from audit_core.errors import PromptRefused
from audit_core.prompt_files.relations import expand_relation, is_relation
from audit_core.prompt_files.table import (
    MAX_COLUMNS,
    MAX_PROMPTS,
    Row,
    RowFault,
    Table,
    list_columns,
    refuse_columns,
    refuse_rows,
    show_columns,
)

_JSON_LINES = "JSON Lines"
_LIST_NAMES = ("prompts", "examples", "rows", "data")


class _Loader:
    """JSON parser that records objects with duplicate names, of which Python silently keeps the last."""

    def __init__(self) -> None:
        self._repeats: dict[int, str] = {}
        self._held: list[dict[str, Any]] = []

    def load(self, text: str) -> Any:
        return json.loads(text, object_pairs_hook=self._build)

    def name_repeat(self, found: dict[str, Any]) -> str:
        return self._repeats.get(id(found), "")

    def _build(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            self._repeats[id(made)] = next(name for at, name in enumerate(names) if name in names[:at])
            self._held.append(made)
        return made


def read_json(text: str, name: str) -> Table:
    """Read text that begins with a bracket.

    Raises:
        PromptRefused: neither a JSON document nor JSON Lines, no rows, several lists of rows, or too many rows.
    """
    loader = _Loader()
    # Not splitlines(): JSON text may contain U+2028 and U+0085 unescaped, which must not end a row.
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    first, why = _try(loader, lines[0][1])
    if len(lines) > 1 and not why and isinstance(first, dict):
        return _read_lines(loader, lines)
    document, broken = (first, why) if len(lines) == 1 else _try(loader, text)
    if not broken:
        return _read_document(loader, document, name)
    if any(not problem and isinstance(found, dict) for found, problem in (_try(loader, line) for _, line in lines[:9])):
        return _read_lines(loader, lines)
    raise PromptRefused(
        f"{name} begins like JSON but is invalid: line {lines[0][0]}: not JSON ({why}); as one document: {broken}.",
        wanted="JSON Lines (one object a line), or one JSON array of objects.",
        remedy="correct that line, or write the file with a JSON library.",
    )


def _try(loader: _Loader, text: str) -> tuple[Any, str]:
    try:
        return loader.load(text), ""
    except RecursionError:
        return None, "nested too deep"
    except ValueError as error:
        return None, str(error)[:80]


def _read_lines(loader: _Loader, lines: Sequence[tuple[int, str]]) -> Table:
    rows: list[Row] = []
    faults: list[RowFault] = []
    for number, (at, line) in enumerate(lines, start=1):
        if number > MAX_PROMPTS:
            raise refuse_rows(_JSON_LINES)
        found, why = _try(loader, line)
        place = f"line {at}"
        if why:
            faults.append(RowFault("", f"not JSON ({why})", "write one JSON object a line", "not_json", place))
        else:
            _take(loader, found, Row(place, number, {}), rows, faults)
    return _make_table(_JSON_LINES, rows, faults)


def _take(loader: _Loader, found: Any, row: Row, rows: list[Row], faults: list[RowFault]) -> None:
    if not isinstance(found, dict):
        remedy = 'write it as {"clean": …, "corrupted": …, "answer": …, "foil": …}'
        faults.append(RowFault("", "not an object", remedy, "not_an_object", row.place))
    elif repeat := loader.name_repeat(found):
        faults.append(
            RowFault("", f"gives {repeat[:40]!r} twice", "keep one of the two", "name_given_twice", row.place)
        )
    else:
        rows.append(Row(row.place, row.number, found))


def _make_table(form: str, rows: Sequence[Row], faults: Sequence[RowFault], notices: Sequence[str] = ()) -> Table:
    for row in rows:
        if len(row.values) > MAX_COLUMNS:
            raise refuse_columns(form, len(row.values))
    return Table(form, list_columns(tuple(rows)), tuple(rows), tuple(faults), tuple(notices))


def _read_document(loader: _Loader, document: Any, name: str) -> Table:
    if isinstance(document, dict):
        if is_relation(document):
            return expand_relation(document)
        if not (lists := {key: value for key, value in document.items() if _is_rows(value)}):
            return _read_object(loader, document, name)
        key = _choose_list(lists, name)
        left = tuple(other for other in document if other != key)
        notices = (f"Not read besides the list {key[:40]!r}: {show_columns(left)}.",) if left else ()
        return _read_array(loader, lists[key], f"a JSON object with the list {key[:40]!r}", notices)
    if isinstance(document, list):
        return _read_array(loader, document, "a JSON array", ())
    raise PromptRefused(
        f"{name} is a single JSON value without rows.", wanted="an array of objects.", remedy="check the file."
    )


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _choose_list(lists: dict[str, list[Any]], name: str) -> str:
    keys = [key for key in _LIST_NAMES if key in lists] if len(lists) > 1 else list(lists)
    if len(keys) != 1:
        raise PromptRefused(
            f"{name} is a JSON object with several lists of rows: {show_columns(tuple(lists))}.",
            wanted="one list of rows.",
            remedy="keep only one of them.",
        )
    return keys[0]


def _read_object(loader: _Loader, document: dict[str, Any], name: str) -> Table:
    """Return a single row; rejects a table that is stored by columns."""
    if document and all(isinstance(value, (list, dict)) and value for value in document.values()):
        raise PromptRefused(
            f"{name} is a JSON object of columns: {show_columns(tuple(document))}.",
            wanted="rows: an array of objects, or one object a line.",
            remedy="write it row by row (in pandas: to_json(path, orient='records')).",
        )
    rows: list[Row] = []
    faults: list[RowFault] = []
    _take(loader, document, Row("line 1", 1, {}), rows, faults)
    return _make_table(_JSON_LINES, rows, faults)


def _read_array(loader: _Loader, found: list[Any], form: str, notices: Sequence[str]) -> Table:
    if len(found) > MAX_PROMPTS:
        raise refuse_rows(form)
    rows: list[Row] = []
    faults: list[RowFault] = []
    for number, value in enumerate(found, start=1):
        _take(loader, value, Row(f"item {number}", number, {}), rows, faults)
    return _make_table(form, rows, faults, notices)
