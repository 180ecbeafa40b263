"""Verify the stored runs against the audit log: each event contains the digest of its row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from audit_core.evidence.canonical import hash_document
from audit_core.store.database.events import Action
from audit_core.store.database.schema import RUN_ROWS, digest_rows
from audit_core.store.log.known_good import KnownGood

if TYPE_CHECKING:
    import duckdb

_STARTS = """
SELECT run_id, started_at, actor, session, kind, content_key, model_digest, prompts_sha256, identity, request
FROM run_start ORDER BY number
"""
_KNOWN: KnownGood[str] = KnownGood()
_CHUNK = 200
_ENDS = (Action.RUN_ENDED, Action.RUN_REFUSED)


def find_changed_runs(
    connection: duckdb.DuckDBPyConnection, records: Sequence[Mapping[str, Any]]
) -> list[tuple[int | None, str]]:
    """List runs that differ from their event, or that have no event, each with a sentence."""
    rows = _read_rows(connection, RUN_ROWS)
    first = records[0]["payload"] if records and records[0]["seq"] == 0 else {}
    before = list(islice(rows, count_runs_before(records)))
    found: list[tuple[int | None, str]] = []
    if digest_rows(before) != (first.get("runs_before"), first.get("runs_before_sha256")) and first:
        found.append((0, "the runs from before the log differ from its first event"))
    found += _compare(rows, [record for record in records if record["action"] in _ENDS], "the end of a run")
    starts = [record for record in records if record["action"] == Action.RUN_STARTED]
    return found + _compare(_read_rows(connection, _STARTS), starts, "the start of a run")


def count_runs_before(records: Sequence[Mapping[str, Any]]) -> int:
    """Number of runs from before the log, by its first event."""
    reported = records[0]["payload"].get("runs_before") if records and records[0]["seq"] == 0 else None
    return reported if isinstance(reported, int) and reported > 0 else 0


def _compare(
    rows: Iterator[tuple[Any, ...]], records: Sequence[Mapping[str, Any]], what: str
) -> list[tuple[int | None, str]]:
    kept = Counter(_hash_row(row) for row in rows)
    found: list[tuple[int | None, str]] = []
    for record in records:
        digest = record["payload"].get("record_sha256")
        if kept[digest]:
            kept[digest] -= 1
        else:
            found.append(
                (record["seq"], f"event {record['seq']} records {what}, but no row matches it: {record['object_id']}")
            )
    if extra := kept.total():
        found.append((None, f"{extra} rows record {what} without an event"))
    return found


def _hash_row(row: tuple[Any, ...]) -> str:
    return _KNOWN.find(row, lambda: (hash_document(list(row)), True))


def _read_rows(connection: duckdb.DuckDBPyConnection, statement: str) -> Iterator[tuple[Any, ...]]:
    cursor = connection.execute(statement)
    while chunk := cursor.fetchmany(_CHUNK):
        yield from chunk
