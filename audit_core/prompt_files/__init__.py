"""Readers for prompt files: delimited text, JSON, Parquet, Arrow, `datasets` folders and public layouts."""

from audit_core.prompt_files.reading import FoundColumns, ReadRows, find_columns, read_row_file, read_rows

__all__ = [
    "FoundColumns",
    "ReadRows",
    "find_columns",
    "read_row_file",
    "read_rows",
]
