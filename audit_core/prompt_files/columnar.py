"""Parquet and Arrow files, read by pyarrow with limits that are checked before unpacking."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

from audit_core.errors import PromptRefused
from audit_core.prompt_files.table import MAX_COLUMNS, MAX_PROMPTS, Row, Table, refuse_columns, refuse_rows

PARQUET, ARROW_FILE, ARROW_STREAM = b"PAR1", b"ARROW1\0\0", b"\xff\xff\xff\xff"
_MAX_UNPACKED_BYTES = 64_000_000
"""Sixteen times the limit of a file; text in Parquet is compressed by a factor of 2 to 6."""
_MAX_SCHEMA_ITEMS = 10_000
_BATCH_ROWS = 256
_VALUE_BYTES = 64
"""Memory overhead of a value in Python, without its text."""


def is_columnar(raw: bytes) -> bool:
    """Check whether the first bytes are those of Parquet or Arrow."""
    return raw.startswith((PARQUET, ARROW_FILE, ARROW_STREAM))


def read_columnar(raw: bytes, name: str) -> Table:
    """Read Parquet, an Arrow file or an Arrow stream; columns of other types than text, numbers and lists of text
    are empty.

    Raises:
        PromptRefused: broken, too large when unpacked, or too many columns or rows.
    """
    # Imported here because it takes a quarter of a second, and most files are text.
    import pyarrow

    form = "Parquet" if raw.startswith(PARQUET) else "Arrow"
    try:
        batches = _read_parquet(raw, form) if form == "Parquet" else _read_arrow(raw, form)
        return _collect(batches, form)
    except (pyarrow.ArrowException, OSError, ValueError, struct.error, IndexError) as error:
        raise PromptRefused(
            f"{name} begins like {form} but cannot be read: {str(error)[:120]}.",
            wanted=f"a whole {form} file.",
            remedy="write it again, or write JSON Lines.",
        ) from error


def _collect(batches: Iterable[Any], form: str) -> Table:
    rows: list[Row] = []
    columns: tuple[str, ...] = ()
    left = _MAX_UNPACKED_BYTES
    for batch in batches:
        # Offsets from the file must be checked before they are used as addresses.
        batch.validate(full=True)
        columns = tuple(batch.schema.names)
        if len(rows) + batch.num_rows > MAX_PROMPTS:
            raise refuse_rows(form)
        left -= sum(map(_count_bytes, batch.columns))
        if left < 0:
            raise _refuse_size(form)
        values = [column.to_pylist() if _is_read(column.type) else [None] * len(column) for column in batch.columns]
        for cells in zip(*values):
            number = len(rows) + 1
            rows.append(Row(f"row {number}", number, dict(zip(columns, cells))))
    if len(set(columns)) < len(columns):
        raise PromptRefused(
            f"Two columns with the same name, read as {form}.",
            wanted="unique column names.",
            remedy="rename one of them.",
        )
    return Table(form, columns, tuple(rows))


def _refuse_size(form: str) -> PromptRefused:
    return PromptRefused(
        f"More than {_MAX_UNPACKED_BYTES:,} bytes when unpacked, read as {form}.",
        wanted="fewer.",
        remedy="use a sample, and remove columns that no prompt needs.",
    )


def _count_bytes(column: Any) -> int:
    """Return a column's size with dictionaries expanded: one text in a dictionary may serve any number of rows."""
    import pyarrow.compute as compute

    if not _is_read(column.type):
        return 0
    if _is_list(column.type):
        return _VALUE_BYTES * len(column) + _count_bytes(column.flatten())
    if _is_dictionary(column.type):
        lengths = compute.binary_length(column.dictionary).take(column.indices)
    elif _is_text(column.type):
        lengths = compute.binary_length(column)
    else:
        return _VALUE_BYTES * len(column)
    return _VALUE_BYTES * len(column) + (compute.sum(lengths).as_py() or 0)


def _is_read(kind: Any) -> bool:
    """Check for text, numbers and lists of text; texts may be dictionary-encoded."""
    import pyarrow.types as types

    if _is_list(kind):
        return _is_text(kind.value_type) or _is_dictionary(kind.value_type)
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    return _is_text(kind) or _is_dictionary(kind) or is_number


def _is_list(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_list(kind) or types.is_large_list(kind))


def _is_dictionary(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_dictionary(kind)) and _is_text(kind.value_type)


def _is_text(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_string(kind) or types.is_large_string(kind))


def _read_parquet(raw: bytes, form: str) -> Iterator[Any]:
    import pyarrow
    import pyarrow.parquet as parquet

    limits = {"thrift_string_size_limit": len(raw), "thrift_container_size_limit": _MAX_SCHEMA_ITEMS}
    file = parquet.ParquetFile(pyarrow.BufferReader(raw), **limits)
    about = file.metadata
    if about.num_columns > MAX_COLUMNS:
        raise refuse_columns(form, about.num_columns)
    if about.num_rows > MAX_PROMPTS:
        raise refuse_rows(form)
    groups = (about.row_group(at) for at in range(about.num_row_groups))
    if (
        sum(group.column(at).total_uncompressed_size for group in groups for at in range(about.num_columns))
        > _MAX_UNPACKED_BYTES
    ):
        raise _refuse_size(form)
    # Texts stay dictionary-encoded, so that their size is checked before they are copied to rows.
    leaves = [file.schema.column(at) for at in range(about.num_columns)]
    texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and leaf.logical_type.type == "STRING"]
    file = parquet.ParquetFile(pyarrow.BufferReader(raw), read_dictionary=texts, **limits)
    yield from file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False)


def _read_arrow(raw: bytes, form: str) -> Iterator[Any]:
    import pyarrow
    from pyarrow import ipc

    # A file is a stream between magic bytes and a footer; reading it as a stream avoids the footer's offsets.
    stream = raw[len(ARROW_FILE) :] if raw.startswith(ARROW_FILE) else raw
    for message in ipc.MessageReader.open_stream(pyarrow.BufferReader(stream)):
        if message.type in ("record batch", "dictionary") and _is_compressed(message.metadata.to_pybytes()):
            raise PromptRefused(
                "Compressed Arrow.",
                wanted="Arrow without compression, as the datasets library writes it.",
                remedy="save it without compression, or as Parquet or JSON Lines.",
            )
    reader = ipc.open_stream(pyarrow.BufferReader(stream))
    if len(reader.schema) > MAX_COLUMNS:
        raise refuse_columns(form, len(reader.schema))
    yield from reader


def _is_compressed(message: bytes) -> bool:
    """Check whether a record batch is compressed: field 3 of RecordBatch, in field 2 of Message (Arrow's Message.fbs)."""
    found = _find_field(message, struct.unpack_from("<I", message)[0], 2)
    if found is None:
        return False
    batch = found + struct.unpack_from("<I", message, found)[0]
    kind = _find_field(message, struct.unpack_from("<I", message)[0], 1)
    if kind is not None and message[kind] == 2:
        # A dictionary batch has its record batch in field 1.
        inner = _find_field(message, batch, 1)
        if inner is None:
            return False
        batch = inner + struct.unpack_from("<I", message, inner)[0]
    return _find_field(message, batch, 3) is not None


def _find_field(message: bytes, table: int, field: int) -> int | None:
    """Return the offset of a field in a flatbuffer table; None if it is absent."""
    entries = table - struct.unpack_from("<i", message, table)[0]
    size = struct.unpack_from("<H", message, entries)[0]
    if 4 + 2 * field >= size:
        return None
    offset = struct.unpack_from("<H", message, entries + 4 + 2 * field)[0]
    return table + offset if offset else None
