"""A connection of DuckDB 1.5 with the extensions from their packages: a line of SQL in, as JSON, and a line of rows or an error out."""

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
    for line in sys.stdin:
        try:
            answer = {"rows": connection.execute(json.loads(line)).fetchall()}
        except duckdb.Error as error:
            answer = {"error": str(error)}
        print(json.dumps(answer, default=str), flush=True)
