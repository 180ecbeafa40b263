"""Effect tables as Parquet: unit and meaning of each column in its field, and what the run was of in the schema's metadata."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from audit_core.errors import Refused
from audit_core.exchange.effect_table import COLUMNS, FORMAT, MAX_ROWS, MAX_TEXT, EffectRow, EffectTable
from audit_core.verifier.strict_json import NotStrictJson, load_strict

MAGIC = b"PAR1"
_ABOUT = b"assay"
_MAX_UNPACKED_BYTES = 128 << 20
_MAX_SCHEMA_ITEMS = 1_000
_BATCH_ROWS = 4_096
_TEXTS = [name for name, (kind, _) in COLUMNS.items() if kind == "text"]


def write_parquet(table: EffectTable) -> bytes:
    """The table as one Parquet file; equal tables have equal bytes with one version of pyarrow."""
    import pyarrow
    from pyarrow import parquet

    columns = {name: [getattr(row, name) for row in table.rows] for name in COLUMNS}
    found = pyarrow.table(columns, schema=_make_schema(table.about))
    stream = io.BytesIO()
    parquet.write_table(found, stream, compression="zstd")
    return stream.getvalue()


def write_row(cells: Mapping[str, str | float | int]) -> bytes:
    """One row as a Parquet file: texts, numbers and whole numbers, by the type of each cell."""
    import pyarrow
    from pyarrow import parquet

    kinds = {str: pyarrow.string(), float: pyarrow.float64(), int: pyarrow.int64()}
    columns = {name: pyarrow.array([cell], kinds[type(cell)]) for name, cell in cells.items()}
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), stream, compression="zstd")
    return stream.getvalue()


def read_parquet(raw: bytes, *, name: str) -> EffectTable:
    """Read a table that `write_parquet` wrote, or that has its columns and metadata.

    Raises:
        Refused: broken, too large when unpacked, other columns, or no metadata.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        limits = {"thrift_string_size_limit": max(len(raw), 1), "thrift_container_size_limit": _MAX_SCHEMA_ITEMS}
        about = _check_file(parquet.ParquetFile(pyarrow.BufferReader(raw), **limits), name)
        # Texts stay in their dictionaries until their length is checked: a row may repeat a long one at no cost.
        file = parquet.ParquetFile(pyarrow.BufferReader(raw), read_dictionary=_TEXTS, **limits)
        rows: list[EffectRow] = []
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
            batch.validate(full=True)
            _check_texts(batch, name)
            cells = [column.to_pylist() for column in batch.columns]
            rows += [EffectRow(*row) for row in zip(*cells, strict=True)]
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise Refused(
            f"{name} begins like Parquet but cannot be read: {str(error)[:120]}.", wanted="a whole Parquet file.",
            remedy="export the run again.",
        ) from error  # fmt: skip
    return EffectTable(tuple(rows), about)


def _check_file(file: Any, name: str) -> str:
    schema, size = file.schema_arrow, file.metadata
    if not schema.equals(_make_schema("")):
        raise Refused(
            f"{name} has other columns: {', '.join(f'{f.name} {f.type}' for f in list(schema)[:12])[:200]}.",
            wanted=f"the columns {', '.join(COLUMNS)}, as `exchange effects` writes them.", remedy="export the run again.",
        )  # fmt: skip
    groups = [size.row_group(at) for at in range(size.num_row_groups)]
    unpacked = sum(group.column(at).total_uncompressed_size for group in groups for at in range(size.num_columns))
    if size.num_rows > MAX_ROWS or unpacked > _MAX_UNPACKED_BYTES:
        raise Refused(
            f"{name} has {size.num_rows:,} rows and {unpacked:,} bytes when unpacked.",
            wanted=f"at most {MAX_ROWS:,} rows and {_MAX_UNPACKED_BYTES:,} bytes.", remedy="split it.",
        )  # fmt: skip
    stated = (schema.metadata or {}).get(_ABOUT, b"")
    return read_about(stated, name)


def _check_texts(batch: Any, name: str) -> None:
    import pyarrow.compute as compute

    for column in _TEXTS:
        longest = compute.max(compute.binary_length(batch.column(column).dictionary)).as_py()
        if longest is not None and longest > 4 * MAX_TEXT:
            raise Refused(
                f"{name} has a text of {longest:,} bytes as {column}.", wanted=f"at most {MAX_TEXT} characters.",
                remedy="export the run again.",
            )  # fmt: skip


def read_about(stated: bytes, name: str) -> str:
    """The JSON text that says what a table is of, once it is of this format.

    Raises:
        Refused: it is missing or of another format.
    """
    try:
        about = load_strict(stated)
    except NotStrictJson:
        about = None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise Refused(
            f"{name} does not say what its numbers are of.", wanted=f"metadata of the format {FORMAT!r}.",
            remedy="take the file as `exchange effects` wrote it; CSV needs the file beside it.",
        )  # fmt: skip
    return stated.decode()


def _make_schema(about: str) -> Any:
    import pyarrow

    types = {"text": pyarrow.string(), "number": pyarrow.float64(), "whole number": pyarrow.int64()}
    of_rows = {"value": "unit", "low": "unit", "high": "unit"}
    fields = [
        pyarrow.field(name, types[kind], metadata={"description": meaning, "unit": f"column {of_rows[name]}" if name in of_rows else "none"})
        for name, (kind, meaning) in COLUMNS.items()
    ]  # fmt: skip
    return pyarrow.schema(fields, metadata={_ABOUT: about.encode()})
