"""Runs SQL from standard input with DuckDB 1.5 and the extensions from their packages; prints the last result as JSON."""

import json
import sys
from pathlib import Path

import duckdb
import duckdb_extension_ducklake
import duckdb_extension_postgres_scanner

PACKAGES = (duckdb_extension_postgres_scanner, duckdb_extension_ducklake)

if __name__ == "__main__":
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    for package in PACKAGES:
        (extension,) = Path(package.__file__).parent.glob("extensions/*/*.duckdb_extension")
        connection.execute(f"LOAD '{extension}'")
    rows = connection.execute(sys.stdin.read()).fetchall()
    json.dump(rows, sys.stdout, default=str)
