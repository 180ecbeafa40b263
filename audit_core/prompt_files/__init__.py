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
from audit_core.prompt_files.table import MAX_CHARACTERS
from audit_core.prompt_files.upload import flatten_folder, list_splits, place_files

__all__ = [
    "MAX_CHARACTERS",
    "FoundColumns",
    "ReadRows",
    "add_header",
    "add_spaces",
    "count_unspaced",
    "find_columns",
    "flatten_folder",
    "has_header",
    "list_splits",
    "place_files",
    "read_row_file",
    "read_rows",
]
