"""Prompt pairs as files: JSON Lines, CSV, Parquet, or a folder that the `datasets` library loads; each is read back without loss."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from audit_core.errors import PromptRefused
from audit_core.prompt_files.layouts import FIELDS
from audit_core.verifier.prompt_digest import dump_prompt_rows

_LISTS = ("answer", "foil")
_DATA = "data-00000-of-00001.arrow"
ENDINGS = (".jsonl", ".csv", ".parquet")


def write_rows(rows: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, bytes]:
    """The files of a prompt set by their paths; the ending of `name` chooses the form, and without one it is a folder.

    Args:
        rows: by field, as `Prompt.to_row` gives them; answer and foil are a text or a list of texts.

    Raises:
        PromptRefused: another ending.
    """
    ending = next((ending for ending in ENDINGS if name.endswith(ending)), "" if "." not in name else None)
    if ending is None:
        raise PromptRefused(
            f"{name[-60:]!a} as a name.", wanted=f"a name that ends in {', '.join(ENDINGS)}, or a folder's without an ending.",
            remedy="rename it.",
        )  # fmt: skip
    if ending == ".jsonl":
        return {name: dump_prompt_rows(rows)}
    columns = tuple(field for field in FIELDS if any(field in row for row in rows))
    if ending == ".csv":
        return {name: _write_csv(rows, columns)}
    table = _make_table(rows, columns)
    return {name: _write_parquet(table)} if ending == ".parquet" else _write_folder(table, name)


def _write_csv(rows: Sequence[Mapping[str, Any]], columns: tuple[str, ...]) -> bytes:
    """A list of several texts is a JSON list in its cell, which the reader takes as one."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_write_cell(row.get(column, "")) for column in columns])
    return stream.getvalue().encode()


def _write_cell(value: Any) -> str:
    if isinstance(value, str) and value.lstrip().startswith("["):
        # One text that looks like a list would be read as one.
        value = [value]
    return value if isinstance(value, str) else json.dumps(list(value), ensure_ascii=False)


def _make_table(rows: Sequence[Mapping[str, Any]], columns: tuple[str, ...]) -> Any:
    import pyarrow

    def take(row: Mapping[str, Any], column: str) -> Any:
        value = row.get(column)
        return [value] if column in _LISTS and isinstance(value, str) else value

    types = {column: pyarrow.list_(pyarrow.string()) if column in _LISTS else pyarrow.string() for column in columns}
    arrays = [pyarrow.array([take(row, column) for row in rows], types[column]) for column in columns]
    return pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(list(types.items())))


def _write_parquet(table: Any) -> bytes:
    from pyarrow import parquet

    stream = io.BytesIO()
    parquet.write_table(table, stream)
    return stream.getvalue()


def _write_folder(table: Any, name: str) -> Mapping[str, bytes]:
    """As `Dataset.save_to_disk` writes it: an Arrow stream, its state, and a description without features, which Arrow has."""
    import pyarrow

    stream = io.BytesIO()
    with pyarrow.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    state: dict[str, Any] = {
        "_data_files": [{"filename": _DATA}], "_fingerprint": "0" * 16, "_format_columns": None, "_format_kwargs": {},
        "_format_type": None, "_output_all_columns": False, "_split": None,
    }  # fmt: skip
    about = {"citation": "", "description": "", "homepage": "", "license": ""}
    files = {
        _DATA: stream.getvalue(),
        "state.json": json.dumps(state).encode(),
        "dataset_info.json": json.dumps(about).encode(),
    }
    return {f"{name}/{file}": data for file, data in files.items()}
