"""Whatever is done to a log's rows, a checkpoint held outside tells, and it never cries wolf."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy.forged_log import COLUMNS, Forged, copy_home, forge, insert, sign_now, write_events

from audit_core.evidence.keys import load_log_key
from audit_core.store import RunLog, RunRecord, open_database, verify_log
from audit_core.store.database.connection import DATABASE

SIZE = 30
TAIL = 4
"""Events after the last checkpoint that anyone holds: what becomes of them nobody can tell."""


@dataclass(frozen=True)
class Log:
    rows: list[dict[str, Any]]
    checkpoints: list[dict[str, Any]]
    held: tuple[str, ...]
    public_key: bytes
    key: Any
    raw: duckdb.DuckDBPyConnection
    """The same tables without triggers, in memory."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    home = tmp_path_factory.mktemp("home")
    write_events(home, 11)
    held = [sign_now(home)]
    write_events(home, SIZE - 12, start=11)
    held.append(sign_now(home))
    write_events(home, TAIL, start=SIZE)
    with duckdb.connect(str(home / DATABASE)) as file:
        tables = [row[0] for row in file.execute("SELECT sql FROM duckdb_tables()").fetchall()]
        name = file.execute("SELECT log_id FROM audit_log").fetchall()
    with forge(home) as file, duckdb.connect() as raw:
        raw.execute("CREATE SEQUENCE run_number")
        for statement in tables:
            raw.execute(statement)
        raw.execute("INSERT INTO audit_log VALUES (?)", list(name[0]))
        key = load_log_key(home)
        yield Log(file.rows, file.checkpoints, tuple(held), key.public_key, key, raw)


PLACES = st.integers(0, SIZE + TAIL - 1)
STEPS = st.one_of(
    st.tuples(st.just("edit"), PLACES, st.sampled_from([0.5, 1.0])),
    st.tuples(st.just("column"), PLACES, st.sampled_from(["actor", "action", "tenant", "ts", "entry", "leaf"])),
    st.tuples(st.just("delete"), PLACES, st.none()),
    st.tuples(st.just("swap"), PLACES, PLACES),
    st.tuples(st.just("repeat"), PLACES, PLACES),
    st.tuples(st.just("truncate"), PLACES, st.none()),
    st.tuples(st.just("rehash"), PLACES, st.none()),
    st.tuples(st.just("relink"), st.none(), st.none()),
    st.tuples(st.just("forget"), PLACES, st.none()),
    st.tuples(st.just("sign"), st.none(), st.none()),
)


def take(file: Forged, step: tuple[str, Any, Any]) -> None:
    name, at, what = step
    at = at % len(file.rows) if file.rows and at is not None else at
    if not file.rows and name != "forget":
        return
    if name == "edit":
        file.edit(at, value=what)
    elif name == "column":
        file.rows[at][what] = "0" * 64
    elif name == "delete":
        del file.rows[at]
    elif name == "swap":
        other = what % len(file.rows)
        file.rows[at], file.rows[other] = file.rows[other], file.rows[at]
    elif name == "repeat":
        file.rows.insert(what % len(file.rows), dict(file.rows[at]))
    elif name == "truncate":
        del file.rows[at:]
    elif name == "rehash":
        file.rehash(at)
    elif name == "relink":
        file.relink()
    elif name == "forget":
        file.forget_checkpoints(beyond=at)
    elif all(row["size"] <= len(file.rows) for row in file.checkpoints):
        file.sign(file.key)


def write(log: Log, file: Forged) -> bool:
    """False where the rows cannot even be stored: two of one number."""
    log.raw.execute("DELETE FROM audit_event; DELETE FROM audit_checkpoint")
    names = ("log_id", "size", "root", "head", "note")
    try:
        insert(log.raw, "audit_event", [[row[name] for name in COLUMNS] for row in file.rows])
    except duckdb.ConstraintException:
        return False
    insert(log.raw, "audit_checkpoint", [[row[name] for name in names] for row in file.checkpoints])
    return True


@settings(max_examples=100)
@given(steps=st.lists(STEPS, max_size=5), cover=st.lists(st.sampled_from(["relink", "forget", "sign"]), max_size=3))
def test_an_external_checkpoint_shows_every_change_before_it_and_none_where_there_is_none(
    log: Log, steps: list[tuple[str, Any, Any]], cover: list[str]
) -> None:
    """The forger has the log's key, and still cannot make what was handed out say something else."""
    file = Forged(copy.deepcopy(log.rows), copy.deepcopy(log.checkpoints), log.key)
    for step in [*steps, *((name, 0, None) for name in cover)]:
        take(file, step)
    if not write(log, file):
        return
    stored = sorted(file.rows, key=lambda row: row["seq"])
    is_same_before = [row["body"] for row in stored[:SIZE]] == [row["body"] for row in log.rows[:SIZE]]
    is_same = file.rows == log.rows and file.checkpoints == log.checkpoints
    found = verify_log(log.raw, public_key=log.public_key, external=log.held)
    if not is_same_before:
        assert found.findings, "a change before a checkpoint that others hold was missed"
        assert found.first_bad is not None
        assert found.first_bad < SIZE
    if is_same:
        assert found.findings == ()


HOSTILE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.sampled_from(
    ["'; DROP TABLE runs; --", "' OR '1'='1", "?; DELETE FROM audit_event", "$1", "\0", "{}", "%s", 'x"y', "\\", "NULL"]
)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose log has begun."""
    home = tmp_path_factory.mktemp("begun")
    assert RunLog(home).list_runs() == ()
    return home


@settings(max_examples=25)
@given(texts=st.lists(HOSTILE, min_size=11, max_size=11))
def test_text_is_a_value_and_never_sql(texts: list[str], begun: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    log = RunLog(copy_home(begun, tmp_path_factory.mktemp("copies") / "home"))
    record = RunRecord(*texts, "{}", "{}", '{"x": 1}', 0.5)
    log.append(record)
    assert log.list_runs() == (record,)
    assert log.list_runs(session=record.session) == (record,)
    assert log.find_result(record.content_key) == ({"x": 1} if record.outcome == "done" else None)
    with open_database(log.home) as connection:
        tables = connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall()
        found = verify_log(connection, public_key=load_log_key(log.home).public_key)
    assert (tables, found.findings) == ([(20,)], ())
