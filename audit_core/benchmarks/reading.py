"""Read a benchmark from the bytes of a file: bounded, nothing executed, every refusal with row and remedy."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

from audit_core.benchmarks.item import (
    MAX_CHARACTERS,
    MAX_FILE_BYTES,
    MAX_OPTIONS,
    MAX_ROWS,
    BadRow,
    Benchmark,
    BenchmarkFormat,
    Cells,
    Item,
    RawFile,
    RowFault,
)
from audit_core.errors import Refused
from audit_core.registry import get_plugin, list_plugins

SHELF = "benchmark_formats"
MAX_NAMED = 5
"""Bad rows that a refusal names."""
_LISTS = ("examples", "data", "rows", "items")


def read_benchmark_file(path: Path, *, form: str = "") -> Benchmark:
    """Read a file from disk; see `read_benchmark`."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise _refuse_size(path.name, size)
        raw = path.read_bytes()
    except OSError as error:
        raise Refused(
            f"{path} cannot be read: {error.strerror}.", wanted="a readable file.", remedy="check path and permissions."
        ) from error
    return read_benchmark(raw, name=path.name, form=form)


def read_benchmark(raw: bytes, *, name: str, form: str = "") -> Benchmark:
    """Read every usable row.

    Args:
        form: key in `benchmark_formats/`; empty to find it from the first rows.

    Raises:
        Refused: too large, not text, no known format, or no usable row; names the first bad rows.

    Example:
        >>> row = b'{"question": "1 + 1?", "answer": "It is 2. #### 2"}'
        >>> read_benchmark(row, name="mine.jsonl").format
        'gsm8k'
    """
    if len(raw) > MAX_FILE_BYTES:
        raise _refuse_size(name, len(raw))
    file = _split_rows(raw, name)
    plugin = get_plugin(SHELF, form) if form else _find_format(file)
    items: list[Item] = []
    faults: list[RowFault] = []
    seen: set[str] = set()
    for place, row in file.rows:
        try:
            item = _check(plugin.read(row, place, file))
        except BadRow as bad:
            faults.append(RowFault(place, bad.text, bad.remedy))
            continue
        text = json.dumps([item.passage, item.question, item.options])
        if text in seen:
            faults.append(RowFault(place, "repeats an earlier question", "keep one of them"))
        else:
            seen.add(text)
            items.append(item)
    if not items:
        raise Refused(
            f"{name[:60]}, read as {plugin.title}: no row can be used. "
            + "; ".join(map(str, faults[:MAX_NAMED]))
            + ".",
            wanted="at least one row of that format.",
            remedy="fix these rows, or choose another format.",
        )
    digest = hashlib.sha256(raw).hexdigest()
    return Benchmark(name, plugin.name, plugin.match, digest, plugin.finish(tuple(items)), tuple(faults))


def _find_format(file: RawFile) -> BenchmarkFormat:
    formats: dict[str, BenchmarkFormat] = dict(list_plugins(SHELF))
    fitting = [plugin for plugin in formats.values() if plugin.fits(file)]
    if len(fitting) != 1:
        titles = ", ".join(plugin.title for plugin in formats.values())
        found = " and ".join(plugin.title for plugin in fitting) or "none of the known formats"
        raise Refused(
            f"{file.name[:60]} looks like {found}.",
            wanted=f"a file in the format of one benchmark: {titles}.",
            remedy="name the format, or compare the first row with the format's description.",
        )
    return fitting[0]


def _check(item: Item) -> Item:
    texts = (item.question, item.passage, item.category, *item.options, *item.references)
    if max(map(len, texts)) > MAX_CHARACTERS:
        raise BadRow(f"a text of more than {MAX_CHARACTERS:,} characters", "shorten it")
    if not item.question.strip():
        raise BadRow("no question", "write one, or remove the row")
    if not item.options and not any(text.strip() for text in item.references):
        raise BadRow("no answer", "write one, or remove the row")
    if item.options:
        if not 2 <= len(item.options) <= MAX_OPTIONS:
            raise BadRow(f"{len(item.options)} options", f"give 2 to {MAX_OPTIONS}")
        if not all(option.strip() for option in item.options):
            raise BadRow("an empty option", "write it, or remove the row")
        if len({option.strip() for option in item.options}) < len(item.options):
            raise BadRow("the same option twice", "make the options differ")
        if not 0 <= item.right < len(item.options):
            raise BadRow("the right answer is none of the options", "name one of them")
    return item


def _split_rows(raw: bytes, name: str) -> RawFile:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(
            f"{name[:60]} is not UTF-8 text (byte {error.start:,}).",
            wanted="JSON, JSON Lines or CSV as UTF-8 text; no archive is opened.",
            remedy="unpack the file or save it as UTF-8.",
        ) from error
    if not text.strip():
        raise Refused(f"{name[:60]} is empty.", wanted="at least one row.", remedy="choose another file.")
    is_json = text.lstrip()[:1] in "[{"
    rows = _split_json(text, name) if is_json else _split_csv(text, name)
    return RawFile(name, tuple(rows), not is_json)


def _split_csv(text: str, name: str) -> list[tuple[str, Cells]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[str, Cells]] = []
    try:
        for cells in reader:
            if any(cells):
                rows.append((f"line {reader.line_num}", cells))
            _check_count(len(rows), name)
    except csv.Error as error:
        raise Refused(
            f"{name[:60]}, line {reader.line_num}: not CSV ({error}).",
            wanted="cells separated by commas, with closed quotation marks.",
            remedy="correct that line.",
        ) from error
    return rows


def _split_json(text: str, name: str) -> list[tuple[str, Cells]]:
    # Not splitlines(): JSON text may contain U+2028 unescaped.
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    first = _load(lines[0][1])
    if isinstance(first, dict) and (len(lines) > 1 or not _find_list(first)):
        _check_count(len(lines), name)
        return [(f"line {number}", _require_row(_load(line), f"line {number}", name)) for number, line in lines]
    document = first if len(lines) == 1 else _load(text)
    found = document if isinstance(document, list) else _find_list(document) if isinstance(document, dict) else None
    if not found:
        raise Refused(
            f"{name[:60]} begins like JSON and has no list of rows.",
            wanted="JSON Lines, an array of objects, or an object with one list such as `examples`.",
            remedy="check the file with a JSON reader.",
        )
    _check_count(len(found), name)
    return [(f"item {n}", _require_row(value, f"item {n}", name)) for n, value in enumerate(found, start=1)]


def _find_list(document: dict[str, Any]) -> list[Any] | None:
    return next((document[key] for key in _LISTS if isinstance(document.get(key), list)), None)


def _load(text: str) -> Any:
    """The value, or None: the caller names the row."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _require_row(value: Any, place: str, name: str) -> dict[str, object]:
    if isinstance(value, dict):
        return value
    raise Refused(
        f"{name[:60]}, {place}: not a JSON object.", wanted="one object a row.", remedy="correct or remove that row."
    )


def _check_count(n: int, name: str) -> None:
    if n > MAX_ROWS:
        raise Refused(f"{name[:60]} has more than {MAX_ROWS:,} rows.", wanted="fewer.", remedy="take a sample.")


def _refuse_size(name: str, size: int) -> Refused:
    return Refused(
        f"{name[:60]} has {size:,} bytes.", wanted=f"at most {MAX_FILE_BYTES:,}.", remedy="take a sample of its rows."
    )
