"""Readers for prompt files: delimited text, JSON, Parquet, Arrow, `datasets` folders and public layouts."""
