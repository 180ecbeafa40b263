"""Runs SQL from standard input with DuckDB 1.5 and the DuckLake extension from its package; prints the last result as JSON."""

import json
import sys
from pathlib import Path

import duckdb
import duckdb_extension_ducklake

(EXTENSION,) = Path(duckdb_extension_ducklake.__file__).parent.glob("extensions/*/ducklake.duckdb_extension")

if __name__ == "__main__":
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    connection.execute(f"LOAD '{EXTENSION}'")
    rows = connection.execute(sys.stdin.read()).fetchall()
    json.dump(rows, sys.stdout, default=str)
