"""An index of published parts: one DuckDB file for each reader, rebuilt from the Parquet files, which are the truth."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit_core.errors import IntegrityError, Refused, StoreRefused

RUNS, EFFECTS = "runs", "effects"
"""Folders of the parts."""
_ALLOW = "SET VARIABLE folders = $1::VARCHAR[]"
_HARDENING = (
    "SET allowed_directories = getvariable('folders')",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET memory_limit = '1GB'",
    "SET temp_directory = ''",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
"""Parts come from other people: the engine loads no extension, and reads and writes in these folders alone."""
_MAKE_RUNS = """
CREATE TABLE runs AS SELECT * EXCLUDE (filename), parse_filename(filename, true) AS part FROM read_parquet(?, filename = true)
    ORDER BY started_at, run_id
"""
_MAKE_EFFECTS = """
CREATE TABLE effects AS SELECT run_id, * EXCLUDE (run_id)
    FROM read_parquet(?, hive_partitioning = true, hive_types = {'run_id': VARCHAR})
"""
_MISNAMED = "SELECT part FROM runs WHERE run_id IS DISTINCT FROM part OR n_effects < 0 LIMIT 1"
_INCOMPLETE = """
SELECT run_id, n_effects, coalesce(found, 0) FROM runs LEFT JOIN (SELECT run_id, count(*) AS found FROM effects GROUP BY run_id)
    USING (run_id) WHERE n_effects <> coalesce(found, 0) LIMIT 1
"""


@dataclass(frozen=True)
class PartsIndex:
    """What an index holds."""

    runs: int
    effects: int
    newest: str
    """Start of the newest run; ISO 8601, UTC."""


def name_run(run_id: str) -> str:
    """A run's own row, below the folder of parts."""
    return f"{RUNS}/{run_id}.parquet"


def name_effects(run_id: str) -> str:
    """A run's estimates; the folder is a partition, as DuckDB, DuckLake and Spark read it."""
    return f"{EFFECTS}/run_id={run_id}/effects.parquet"


def build_index(folder: Path, out: Path) -> PartsIndex:
    """Build tables `runs` and `effects`, check that no part is missing, and replace an older index in one rename.

    A process that has the older index open goes on reading it.

    Raises:
        Refused: there is no part.
        IntegrityError: a part is missing, broken, or of another run than its name says.
        StoreRefused: the index cannot be written.
    """
    import duckdb

    folder, out = folder.resolve(), out.resolve()
    runs = sorted(map(str, (folder / RUNS).glob("*.parquet")))
    if not runs:
        raise Refused(
            f"{folder} has no part of a run.", wanted="a folder that runs were published to.",
            remedy="`exchange publish` it first.",
        )  # fmt: skip
    made = out.with_name(f".{out.name}.{secrets.token_hex(8)}.part")
    try:
        with duckdb.connect(str(made)) as connection:
            connection.execute(_ALLOW, [[f"{folder}/", f"{out.parent}/"]])
            for statement in _HARDENING:
                connection.execute(statement)
            found = _fill(connection, folder, runs)
        made.chmod(0o600)
        made.replace(out)
    except duckdb.IOException as error:
        raise StoreRefused(
            f"The index cannot be built: {str(error)[:200]}", wanted="readable parts and a writable folder for the index.",
            remedy="check both folders.",
        ) from error  # fmt: skip
    except duckdb.Error as error:
        raise IntegrityError(f"A part of {folder} cannot be read: {str(error)[:200]}") from error
    finally:
        for left in (made, Path(f"{made}.wal")):
            left.unlink(missing_ok=True)
    return found


def _fill(connection: Any, folder: Path, runs: list[str]) -> PartsIndex:
    connection.execute(_MAKE_RUNS, [runs])
    if misnamed := connection.execute(_MISNAMED).fetchone():
        raise IntegrityError(f"The part {misnamed[0][:80]!a} of {folder} has another run in it than its name says.")
    wanted = connection.execute("SELECT run_id FROM runs WHERE n_effects > 0").fetchall()
    parts = [folder / name_effects(run_id) for (run_id,) in wanted]
    if missing := [part for part in parts if not part.is_file()]:
        raise IntegrityError(f"{missing[0].parent.name} of {folder} has no effects, and its run has some.")
    n_effects = 0
    if parts:
        connection.execute(_MAKE_EFFECTS, [list(map(str, parts))])
        if short := connection.execute(_INCOMPLETE).fetchone():
            raise IntegrityError(f"Run {short[0]} of {folder} has {short[1]} effects, and its part {short[2]}.")
        n_effects = connection.execute("SELECT count(*) FROM effects").fetchone()[0]
    connection.execute("ALTER TABLE runs DROP COLUMN part")
    ((n_runs, newest),) = connection.execute("SELECT count(*), max(started_at) FROM runs").fetchall()
    return PartsIndex(n_runs, n_effects, newest)
