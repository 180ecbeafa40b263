"""The run log: appended, never lost, safe with several processes, and closed to SQL in its values."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock
from toy.forked import Forked, Say

from audit_core.errors import StoreRefused
from audit_core.store import RunLog, RunRecord
from audit_core.store.database.connection import open_database

RECORD = RunRecord(
    "r1", "2026-01-01T00:00:00+00:00", "me", "s1", "sweep", "done", "", "", "key", "m", "p", "{}", "{}", '{"x": 1}', 0.5
)


def test_what_is_appended_is_read_back_newest_first(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    for number in range(3):
        log.append(replace(RECORD, run_id=f"r{number}"))
    assert [r.run_id for r in log.list_runs()] == ["r2", "r1", "r0"]
    assert [r["run_id"] for r in log.export()] == ["r0", "r1", "r2"]


def test_a_session_sees_its_own_runs_only(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.append(RECORD)
    log.append(replace(RECORD, run_id="r2", session="s2"))
    assert [r.run_id for r in log.list_runs(session="s2")] == ["r2"]


def test_only_a_finished_run_lends_its_result(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.append(replace(RECORD, outcome="cancelled", result=None))
    assert log.find_result("key") is None
    log.append(RECORD)
    assert log.find_result("key") == {"x": 1}
    assert log.find_result("other") is None


def test_hostile_text_is_a_value_and_not_sql(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    hostile = "'); DROP TABLE runs; --"
    log.append(replace(RECORD, detail=hostile, session=hostile))
    assert log.list_runs(session=hostile)[0].detail == hostile


def test_processes_that_append_together_lose_nothing(tmp_path: Path) -> None:
    def append(worker: int, say: Say) -> None:
        for number in range(10):
            RunLog(tmp_path).append(replace(RECORD, run_id=f"{worker}-{number}"))

    workers = [Forked(partial(append, number)) for number in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    names = [r["run_id"] for r in RunLog(tmp_path).export()]
    assert sorted(names) == sorted(f"{w}-{n}" for w in range(3) for n in range(10))


def test_threads_that_append_together_lose_nothing(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda number: log.append(replace(RECORD, run_id=f"r{number}")), range(48)))
    assert sorted(r["run_id"] for r in log.export()) == sorted(f"r{number}" for number in range(48))


def hold(home: Path, held: threading.Event, enough: threading.Event) -> None:
    with open_database(home):
        held.set()
        enough.wait(60)


def test_a_thread_that_holds_the_log_for_too_long_makes_others_give_up_and_go_on_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, held, enough = RunLog(tmp_path), threading.Event(), threading.Event()
    log.append(RECORD)
    monkeypatch.setattr("audit_core.store.database.connection.LOCK_S", 0.2)
    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(hold, tmp_path, held, enough)
        assert held.wait(60)
        with pytest.raises(StoreRefused, match="has been locked"):
            log.list_runs()
        enough.set()
        # Whoever gave up took nobody's turn away: the holder can still give it on.
        holder.result(60)
    assert len(log.list_runs()) == 1


def test_a_process_that_holds_the_log_for_too_long_makes_others_give_up_and_go_on_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RunLog(tmp_path)
    log.append(RECORD)
    monkeypatch.setattr("audit_core.store.database.connection.LOCK_S", 0.2)
    with FileLock(tmp_path / "runs.duckdb.lock"), pytest.raises(StoreRefused, match="has been locked"):
        log.list_runs()
    assert len(log.list_runs()) == 1


def test_a_file_that_is_no_log_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "runs.duckdb").write_text("this is not a database")
    with pytest.raises(StoreRefused, match="AUDIT_HOME"):
        RunLog(tmp_path).append(RECORD)


def test_export_is_json(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.append(RECORD)
    assert json.loads(json.dumps(list(log.export())))[0]["result"] == {"x": 1}
