"""Database schema by version; opening a file of an older version migrates it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from audit_core.errors import StoreRefused
from audit_core.evidence.canonical import hash_document
from audit_core.evidence.keys import LOG_KEY, open_log_key
from audit_core.store.database.events import LOG_ACTOR, Action, append_event
from audit_core.store.database.lost_log import Restart, find_signs, mark_beginning
from audit_core.store.database.schema_4 import VERSION_4
from audit_core.store.database.schema_5 import VERSION_5
from audit_core.store.database.schema_6 import VERSION_6

if TYPE_CHECKING:
    import duckdb

SCHEMA_VERSION = 6
_VERSION_TABLE = "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)"
_VERSION_1 = (
    # Version 1 ran these statements without a transaction, so any of the objects may exist already.
    "CREATE SEQUENCE IF NOT EXISTS run_number",
    """
    CREATE TABLE IF NOT EXISTS runs (
        number BIGINT NOT NULL DEFAULT nextval('run_number'),
        run_id VARCHAR NOT NULL, started_at VARCHAR NOT NULL, actor VARCHAR NOT NULL, session VARCHAR NOT NULL,
        kind VARCHAR NOT NULL, outcome VARCHAR NOT NULL, reason VARCHAR NOT NULL, detail VARCHAR NOT NULL,
        content_key VARCHAR NOT NULL, model_digest VARCHAR NOT NULL, prompts_sha256 VARCHAR NOT NULL,
        identity VARCHAR NOT NULL, request VARCHAR NOT NULL, result VARCHAR, wall_s DOUBLE NOT NULL
    )
    """,
)
_VERSION_2 = (
    "CREATE TABLE audit_log (log_id VARCHAR NOT NULL)",
    """
    CREATE TABLE audit_event (
        log_id VARCHAR NOT NULL, seq BIGINT NOT NULL, ts VARCHAR NOT NULL, tenant VARCHAR NOT NULL,
        actor VARCHAR NOT NULL, action VARCHAR NOT NULL, object_id VARCHAR NOT NULL, body VARCHAR NOT NULL,
        prev VARCHAR NOT NULL, entry VARCHAR NOT NULL, leaf VARCHAR NOT NULL,
        PRIMARY KEY (log_id, seq)
    )
    """,
    """
    CREATE TABLE audit_checkpoint (
        log_id VARCHAR NOT NULL, size BIGINT NOT NULL, root VARCHAR NOT NULL, head VARCHAR NOT NULL,
        note VARCHAR NOT NULL, PRIMARY KEY (log_id, size)
    )
    """,
    """
    CREATE TABLE run_start (
        number BIGINT NOT NULL DEFAULT nextval('run_number'),
        run_id VARCHAR NOT NULL, started_at VARCHAR NOT NULL, actor VARCHAR NOT NULL, session VARCHAR NOT NULL,
        kind VARCHAR NOT NULL, content_key VARCHAR NOT NULL, model_digest VARCHAR NOT NULL,
        prompts_sha256 VARCHAR NOT NULL, identity VARCHAR NOT NULL, request VARCHAR NOT NULL, process VARCHAR NOT NULL
    )
    """,
    "CREATE TABLE refused_change (message VARCHAR)",
)
_VERSION_3 = (
    """
    CREATE TABLE claim (
        claim_id VARCHAR PRIMARY KEY, created_at VARCHAR NOT NULL, owner VARCHAR NOT NULL, expires_at VARCHAR NOT NULL,
        model VARCHAR NOT NULL, prompts VARCHAR NOT NULL
    )
    """,
    """
    CREATE TABLE preregistration (
        claim_id VARCHAR NOT NULL, version INTEGER NOT NULL, digest VARCHAR NOT NULL, body VARCHAR NOT NULL,
        PRIMARY KEY (claim_id, version)
    )
    """,
    """
    CREATE TABLE deviation (
        number BIGINT PRIMARY KEY, claim_id VARCHAR NOT NULL, body VARCHAR NOT NULL
    )
    """,
    "CREATE TABLE claim_withdrawn (claim_id VARCHAR PRIMARY KEY, withdrawn_at VARCHAR NOT NULL, actor VARCHAR NOT NULL, reason VARCHAR NOT NULL)",
)
_KEPT_SINCE_3 = (
    "CREATE TRIGGER claim_kept BEFORE DELETE ON claim FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: claim')",
    "CREATE TRIGGER claim_fixed BEFORE UPDATE ON claim FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: claim')",
    "CREATE TRIGGER preregistration_kept BEFORE DELETE ON preregistration FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: preregistration')",
    "CREATE TRIGGER preregistration_fixed BEFORE UPDATE ON preregistration FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: preregistration')",
    "CREATE TRIGGER deviation_kept BEFORE DELETE ON deviation FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: deviation')",
    "CREATE TRIGGER deviation_fixed BEFORE UPDATE ON deviation FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: deviation')",
    "CREATE TRIGGER claim_withdrawn_kept BEFORE DELETE ON claim_withdrawn FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: claim_withdrawn')",
    "CREATE TRIGGER claim_withdrawn_fixed BEFORE UPDATE ON claim_withdrawn FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: claim_withdrawn')",
)
APPEND_ONLY = (
    # DuckDB 2.0 has statement triggers only. They prevent accidents; the hashes detect deliberate changes.
    "CREATE TRIGGER event_kept BEFORE DELETE ON audit_event FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: audit_event')",
    "CREATE TRIGGER event_fixed BEFORE UPDATE ON audit_event FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: audit_event')",
    "CREATE TRIGGER checkpoint_kept BEFORE DELETE ON audit_checkpoint FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: audit_checkpoint')",
    "CREATE TRIGGER checkpoint_fixed BEFORE UPDATE ON audit_checkpoint FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: audit_checkpoint')",
    "CREATE TRIGGER run_kept BEFORE DELETE ON runs FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: runs')",
    "CREATE TRIGGER run_fixed BEFORE UPDATE ON runs FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: runs')",
    "CREATE TRIGGER start_kept BEFORE DELETE ON run_start FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: run_start')",
    "CREATE TRIGGER start_fixed BEFORE UPDATE ON run_start FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: run_start')",
)
RUN_ROWS = """
SELECT run_id, started_at, actor, session, kind, outcome, reason, detail, content_key, model_digest, prompts_sha256, identity,
    request, result, wall_s FROM runs ORDER BY number
"""


def migrate(connection: duckdb.DuckDBPyConnection, home: Path, restart: Restart | None = None) -> int:
    """Create the schema or migrate it to this version, in the caller's transaction.

    Args:
        restart: a person's decision to begin this log where another is missing.

    Returns:
        Number of events before the migration.

    Raises:
        StoreRefused: the file is of a later version.
    """
    connection.execute(_VERSION_TABLE)
    row = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    version = (row and row[0]) or 0
    if version > SCHEMA_VERSION:
        raise StoreRefused(
            f"A log of schema version {version}.",
            wanted=f"version {SCHEMA_VERSION} or earlier.",
            remedy="use the version of Assay that wrote it, or a newer one; or set AUDIT_HOME to another folder.",
        )
    if version < 2:
        _refuse_empty(home, restart)
        for statement in (*_VERSION_1, *_VERSION_2, *APPEND_ONLY):
            connection.execute(statement)
        begin_log(connection, home)
        if restart is not None:
            _log_restart(connection, home, restart)
    if version < 3:
        for statement in (*_VERSION_3, *_KEPT_SINCE_3):
            connection.execute(statement)
    if version < 4:
        for statement in VERSION_4:
            connection.execute(statement)
    if version < 5:
        for statement in VERSION_5:
            connection.execute(statement)
    if version < 6:
        for statement in VERSION_6:
            connection.execute(statement)
    if version < SCHEMA_VERSION:
        connection.execute("INSERT INTO schema_version VALUES (?)", [SCHEMA_VERSION])
    events = connection.execute("SELECT count(*) FROM audit_event").fetchone()
    return 0 if version < 2 or events is None else int(events[0])


def _refuse_empty(home: Path, restart: Restart | None) -> None:
    """Refuse an empty database where other files show that a log existed."""
    if restart is None and (signs := find_signs(home)):
        raise StoreRefused(
            f"The log of this data directory is missing: {signs[0]} exists, but the database is empty. Nothing was recorded.",
            wanted="the database with its events.",
            remedy="restore it from a backup (`home restore`); without one, move the empty file away and run `log restart --reason WHY`.",
        )
    if restart is None:
        mark_beginning(home)


def _log_restart(connection: duckdb.DuckDBPyConnection, home: Path, restart: Restart) -> None:
    payload = {"reason": restart.reason, "left_behind": list(find_signs(home))}
    append_event(connection, actor=restart.actor, action=Action.LOG_RESTARTED, object_id=LOG_KEY, payload=payload)


def begin_log(connection: duckdb.DuckDBPyConnection, home: Path) -> None:
    """Create the log's id and its first event, with the log's key and a digest of all earlier runs."""
    key = open_log_key(home)
    connection.execute("INSERT INTO audit_log VALUES (?)", [f"assay/{secrets.token_hex(8)}"])
    count, digest = digest_rows(connection.execute(RUN_ROWS).fetchall())
    payload = {
        "keyid": key.keyid,
        "public_key": key.public_key.hex(),
        "signs": "checkpoints",
        "runs_before": count,
        "runs_before_sha256": digest,
    }
    append_event(connection, actor=LOG_ACTOR, action=Action.KEY_MADE, object_id=key.keyid, payload=payload)


def digest_rows(rows: list[tuple[object, ...]]) -> tuple[int, str]:
    """Number of runs, and a digest over their digests."""
    return len(rows), hash_document([hash_document(list(row)) for row in rows])
