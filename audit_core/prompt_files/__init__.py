"""Readers for prompt files: delimited text, JSON, Parquet, Arrow, `datasets` folders and public layouts."""

from audit_core.prompt_files.delimited import add_header, has_header
from audit_core.prompt_files.reading import (
    FoundColumns,
    ReadRows,
    add_spaces,
    count_unspaced,
    find_columns,
    read_row_file,
    read_rows,
)

__all__ = [
    "FoundColumns",
    "ReadRows",
    "add_header",
    "add_spaces",
    "count_unspaced",
    "find_columns",
    "has_header",
    "read_row_file",
    "read_rows",
]
