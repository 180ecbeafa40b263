"""Prompt files in the forms people have: delimited text, JSON, Parquet, Arrow, `datasets` folders, public layouts."""
