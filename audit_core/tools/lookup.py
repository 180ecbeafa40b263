"""A lookup in a small shipped table: one fixed query with parameters, in memory, without access to files or networks."""

from __future__ import annotations

import csv
import io
from functools import cache
from threading import Lock, Timer
from typing import TYPE_CHECKING

from audit_core.data_folder import DATA
from audit_core.errors import NotMeasured, Refused

if TYPE_CHECKING:
    import duckdb

TABLE = DATA / "tools" / "countries.csv"
FIELDS = ("capital", "language", "currency")
MAX_BYTES, MAX_SECONDS, MAX_CHARACTERS = 64 << 10, 2.0, 60
_QUERY = "SELECT value FROM facts WHERE country = ? AND field = ? LIMIT 1"
_TURN = Lock()


def look_up(country: str, field: str) -> str:
    """One fact about a country.

    Raises:
        Refused: the table has no such row.
        NotMeasured: the query took longer than `MAX_SECONDS`.

    Example:
        >>> look_up("Peru", "capital")
        'Lima'
    """
    import duckdb

    connection = _open()
    with _TURN:
        stop = Timer(MAX_SECONDS, connection.interrupt)
        stop.daemon = True
        stop.start()
        connection.execute("BEGIN TRANSACTION READ ONLY")
        try:
            found = connection.execute(_QUERY, [country[:MAX_CHARACTERS], field[:MAX_CHARACTERS]]).fetchone()
        except duckdb.InterruptException as error:
            raise NotMeasured("control_failed", f"the lookup took longer than {MAX_SECONDS:g} seconds.") from error
        finally:
            stop.cancel()
            connection.execute("ROLLBACK")
    if found is None:
        raise Refused(
            f"{field[:20]!r} of {country[:20]!r}.", wanted="a country and a field of the table.",
            remedy="ask for one of them.",
        )  # fmt: skip
    return str(found[0])[:MAX_CHARACTERS]


def read_table() -> tuple[dict[str, str], ...]:
    """The shipped rows: country, then `FIELDS`.

    Raises:
        Refused: the file is too large.
    """
    raw = TABLE.read_bytes()
    if len(raw) > MAX_BYTES:
        raise Refused(f"{TABLE.name} has {len(raw):,} bytes.", wanted=f"at most {MAX_BYTES:,}.", remedy="reinstall.")
    return tuple(csv.DictReader(io.StringIO(raw.decode("utf-8"))))


@cache
def _open() -> duckdb.DuckDBPyConnection:
    """The table in memory, without access to anything else; every query runs in a transaction that cannot write."""
    import duckdb

    connection = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "64MB"})
    connection.execute("CREATE TABLE facts (country VARCHAR, field VARCHAR, value VARCHAR)")
    rows = [[row["country"], field, row[field]] for row in read_table() for field in FIELDS]
    connection.executemany("INSERT INTO facts VALUES (?, ?, ?)", rows)
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
