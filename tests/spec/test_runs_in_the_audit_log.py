"""Each run is told of when it starts and when it ends: nothing tried goes untold, abandoned runs and dropped ones included."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest
from toy.additive import AdditiveSubject, pair_up
from toy.forked import Forked, Say

from audit_core.audits.ablation import AblationRequest
from audit_core.component import head
from audit_core.errors import Cancelled, PromptRefused, Refused, StoreRefused
from audit_core.evidence.keys import load_log_key
from audit_core.intervention import Replacement
from audit_core.jobs import JobManager, JobState
from audit_core.run import Actor, Auditor, record_refusal
from audit_core.store import (
    Action,
    AuditEvent,
    ClaimRun,
    RunLog,
    RunRecord,
    RunStart,
    list_events,
    list_unended,
    open_database,
    verify_log,
)
from audit_core.store.database.checkpoints import list_checkpoints

ACTOR = Actor("ada", "session 1")
START = RunStart("r1", "2026-01-01T00:00:00.000+00:00", "ada", "s1", "sweep", "key", "m", "p", "{}", '{"x": 1}')
RECORD = RunRecord(
    "r1", START.started_at, "ada", "s1", "sweep", "done", "", "", "key", "m", "p", "{}", '{"x": 1}', '{"y": 2}', 0.5
)
CLAIM = ClaimRun("C-0001", "ab" * 32)


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path)


@pytest.fixture
def auditor(log: RunLog) -> Auditor:
    return Auditor(AdditiveSubject({head(0, 0): 3.0}), log)


def ask(auditor: Auditor, **changes: Any) -> AblationRequest:
    prompts = pair_up(auditor.subject)
    return replace(AblationRequest(prompts, prompts, (head(0, 0),), Replacement.ZERO), **changes)


def reported(home: Path, *actions: Action) -> list[AuditEvent]:
    wanted = actions or (Action.RUN_STARTED, Action.RUN_ENDED, Action.RUN_REFUSED)
    with open_database(home) as connection:
        return [event for event in list_events(connection) if event.action in wanted]


def verify(home: Path) -> list[tuple[str, int | None]]:
    with open_database(home) as connection:
        found = verify_log(connection, public_key=load_log_key(home).public_key)
    return [(finding.fault.value, finding.seq) for finding in found.findings]


def test_a_run_is_two_events_with_digests_and_ids_alone(auditor: Auditor, log: RunLog) -> None:
    request = ask(auditor)
    finished = auditor.run("ablation", request, actor=ACTOR)
    start, end = reported(log.home)
    (row,) = log.list_runs()
    assert (start.action, end.action, start.object_id, end.object_id) == ("run.started", "run.ended", *[row.run_id] * 2)
    assert (start.actor, row.run_id) == ("ada", finished.run_id)
    assert {key: value for key, value in start.payload.items() if key != "record_sha256"} == {
        "kind": "ablation",
        "claim_id": None,
        "prereg_digest": None,
        "attempt_no": None,
        "content_key": auditor.content_key("ablation", request),
        "prompts_sha256": request.prompts.sha256,
        "model_digest": auditor.subject.identity.short,
    }
    assert row.result is not None
    assert end.payload["cpu_s"] > 0
    assert {key: value for key, value in end.payload.items() if key not in ("record_sha256", "cpu_s")} == {
        "outcome": "done",
        "reason": "",
        "result_sha256": hashlib.sha256(row.result.encode()).hexdigest(),
        "wall_s": row.wall_s,
    }
    assert verify(log.home) == []


def test_a_run_is_logged_before_anything_of_it_can_be_seen(auditor: Auditor, log: RunLog) -> None:
    seen = []

    def look(done: int, total: int) -> None:
        seen.append([event.action for event in reported(log.home)])

    auditor.run("ablation", ask(auditor), actor=ACTOR, on_progress=look)
    assert seen
    assert seen[0] == ["run.started"]


def test_a_run_that_cannot_be_logged_does_not_begin(auditor: Auditor, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreRefused("The disk is full.", wanted="room.", remedy="make some.")

    begun: list[int] = []
    monkeypatch.setattr(auditor.log, "start", full)
    with pytest.raises(StoreRefused):
        auditor.run("ablation", ask(auditor), actor=ACTOR, on_progress=lambda *_: begun.append(1))
    assert begun == []


def test_prompts_results_and_requests_stay_out_of_the_events(auditor: Auditor, log: RunLog) -> None:
    prompts = pair_up(auditor.subject, texts=[(f"good secret{n} x", f"bad secret{n} x") for n in range(20)])
    auditor.run("ablation", replace(ask(auditor), prompts=prompts, reference=prompts), actor=ACTOR)
    with pytest.raises(Refused):
        auditor.run("ablation", ask(auditor, metric="secret"), actor=ACTOR)
    record_refusal(log, "sweep", PromptRefused("secret", wanted="x", remedy="x"), actor=ACTOR, request={"x": "secret"})
    bodies = "".join(event.body for event in reported(log.home))
    assert "secret" not in bodies
    assert "secret" in "".join(row.detail for row in log.list_runs()), (
        "the control: the run log itself has the sentence"
    )
    assert "session 1" not in bodies


# Runs that gave nothing


def cancel(*_: object) -> None:
    raise Cancelled("enough")


def break_down(*_: object) -> None:
    raise ZeroDivisionError("a defect")


@pytest.mark.parametrize(("stop", "outcome"), [(cancel, "cancelled"), (break_down, "failed")])
def test_a_run_that_gave_nothing_has_its_two_events(
    stop: Callable[..., None], outcome: str, auditor: Auditor, log: RunLog
) -> None:
    with pytest.raises((Cancelled, ZeroDivisionError)):
        auditor.run("ablation", ask(auditor), actor=ACTOR, on_progress=stop)
    start, end = reported(log.home)
    assert (start.action, end.action) == ("run.started", "run.ended")
    assert (end.payload["outcome"], end.payload["result_sha256"]) == (outcome, None)
    assert verify(log.home) == []


def test_a_run_that_never_began_is_one_event(auditor: Auditor, log: RunLog) -> None:
    record_refusal(log, "sweep", PromptRefused("No file.", wanted="x", remedy="x"), actor=ACTOR, request={})
    auditor.record_dropped("ablation", ask(auditor), actor=ACTOR)
    refused, dropped = reported(log.home)
    assert {refused.action, dropped.action} == {"run.refused"}
    assert (refused.payload["kind"], refused.payload["outcome"], refused.payload["reason"]) == (
        "sweep", "refused", "PromptRefused",
    )  # fmt: skip
    assert (dropped.payload["kind"], dropped.payload["outcome"], dropped.payload["reason"]) == (
        "ablation", "cancelled", "never_begun",
    )  # fmt: skip
    assert [row.outcome for row in log.list_runs()] == ["cancelled", "refused"]
    assert verify(log.home) == []


@pytest.fixture
def jobs() -> Iterator[JobManager]:
    manager = JobManager()
    yield manager
    manager.shut_down()


def submit_behind(jobs: JobManager, gate: threading.Event, drop: Callable[[], None]) -> str:
    jobs.submit("first", "t", lambda progress: gate.wait(5), owner="a")
    return jobs.submit("second", "t", lambda progress: 1, owner="a", on_drop=drop)


def test_a_job_cancelled_while_it_waits_leaves_its_event(jobs: JobManager, auditor: Auditor, log: RunLog) -> None:
    gate, request = threading.Event(), ask(auditor)
    job = submit_behind(jobs, gate, lambda: auditor.record_dropped("ablation", request, actor=ACTOR))
    jobs.cancel(job, owner="a")
    gate.set()
    jobs.shut_down()
    assert [event.payload["reason"] for event in reported(log.home)] == ["never_begun"]
    seen = jobs.get(job, owner="a")
    assert seen is not None
    assert seen.state is JobState.CANCELLED


def test_a_job_that_waits_at_shut_down_leaves_its_event_and_one_that_runs_does_not(jobs: JobManager) -> None:
    gate, dropped = threading.Event(), []
    submit_behind(jobs, gate, lambda: dropped.append(1))
    ran = jobs.submit("third", "t", lambda progress: 1, owner="a", on_drop=lambda: dropped.append(3))
    threading.Timer(0.1, gate.set).start()
    jobs.shut_down()
    assert dropped == [1, 3]
    other = JobManager()
    wanted = other.submit("k", "t", lambda progress: progress.show(0), owner="a", on_drop=lambda: dropped.append(7))
    while other.get(wanted, owner="a").is_active:  # type: ignore[union-attr]
        time.sleep(0.005)
    other.shut_down()
    assert dropped == [1, 3], "what ran was not dropped"
    assert jobs.get(ran, owner="a").state is JobState.CANCELLED  # type: ignore[union-attr]


def test_a_drop_that_cannot_be_logged_is_seen_on_the_job(jobs: JobManager) -> None:
    def refuse() -> None:
        raise StoreRefused("The disk is full.", wanted="room.", remedy="make some.")

    gate = threading.Event()
    job = submit_behind(jobs, gate, refuse)
    jobs._stop[job].set()
    gate.set()
    jobs.shut_down()
    seen = jobs.get(job, owner="a")
    assert seen is not None
    assert (seen.state, "disk is full" in seen.error) == (JobState.FAILED, True)


# Abandoned runs

BEGIN = """
import sys, time
from pathlib import Path
from audit_core.store import RunLog, RunStart
start = RunStart(sys.argv[2], "2026-01-01T00:00:00.000+00:00", "ada", "s1", "sweep", "key", "m", "p", "{}", "{}")
RunLog(Path(sys.argv[1])).start(start)
print("begun", flush=True)
time.sleep(60)
"""


def test_a_killed_process_leaves_its_run_as_abandoned_and_a_living_one_is_under_way(log: RunLog) -> None:
    log.append(replace(RECORD, run_id="whole"))
    command = [sys.executable, "-c", BEGIN, str(log.home), "left"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        log.start(replace(START, run_id="mine"))
        with open_database(log.home) as connection:
            assert [(run.run_id, run.is_alive) for run in list_unended(connection, log.home)] == [
                ("left", True),
                ("mine", True),
            ]
        assert [row.run_id for row in log.list_runs()] == ["whole"]
        process.send_signal(signal.SIGKILL)
    with open_database(log.home) as connection:
        assert [(run.run_id, run.is_alive) for run in list_unended(connection, log.home)] == [
            ("left", False),
            ("mine", True),
        ]
    assert [(row.run_id, row.outcome, row.reason) for row in log.list_runs()] == [
        ("left", "abandoned", "no_end"),
        ("whole", "done", ""),
    ]
    assert [(row["run_id"], row["outcome"], row["result"]) for row in log.export()][1:] == [("left", "abandoned", None)]
    assert log.list_runs(session="s2") == ()
    assert verify(log.home) == []


def test_a_process_that_ends_in_peace_leaves_no_file_behind(log: RunLog) -> None:
    code = BEGIN.replace("time.sleep(60)", "")
    subprocess.run([sys.executable, "-c", code, str(log.home), "left"], check=True, timeout=60, capture_output=True)
    assert list((log.home / "running").iterdir()) == []
    assert [row.outcome for row in log.list_runs()] == ["abandoned"]


@pytest.mark.parametrize("process", ["", "../../runs.duckdb", "0" * 32, "x" * 32])
def test_a_process_of_no_name_of_ours_is_dead(process: str, log: RunLog) -> None:
    log.start(START)
    with duckdb.connect(str(log.path)) as raw:
        raw.execute("DROP TRIGGER start_fixed ON run_start")
        raw.execute("DROP TRIGGER start_kept ON run_start")
        raw.execute("UPDATE run_start SET process = ?", [process])
    assert [row.outcome for row in log.list_runs()] == ["abandoned"]
    assert log.path.exists()


# Claims


def test_attempts_at_a_claim_are_counted_by_the_log_whatever_became_of_them(auditor: Auditor, log: RunLog) -> None:
    numbers = []
    for stop in (None, cancel, None):
        try:
            options = {} if stop is None else {"on_progress": stop}
            numbers.append(auditor.run("ablation", ask(auditor), actor=ACTOR, claim=CLAIM, **options).attempt_no)
        except Cancelled:
            numbers.append(-2)
    assert auditor.run("ablation", ask(auditor), actor=ACTOR).attempt_no is None
    other = auditor.run("ablation", ask(auditor), actor=ACTOR, claim=replace(CLAIM, claim_id="C-0002"))
    assert (numbers, other.attempt_no) == ([1, -2, 3], 1)
    starts = [(e.payload["claim_id"], e.payload["attempt_no"]) for e in reported(log.home, Action.RUN_STARTED)]
    assert starts == [("C-0001", 1), ("C-0001", 2), ("C-0001", 3), (None, None), ("C-0002", 1)]


def test_a_claims_name_elsewhere_in_an_event_is_no_attempt(log: RunLog) -> None:
    log.start(replace(START, content_key='"claim_id":"C-0001"'))
    assert log.start(replace(START, run_id="r2"), CLAIM) == 1
    assert log.start(replace(START, run_id="r3"), CLAIM) == 2


def test_two_processes_never_get_the_same_attempt(log: RunLog) -> None:
    def begin(run: str, say: Say) -> None:
        say(RunLog(log.home).start(replace(START, run_id=run), ClaimRun("C-0001", "")))

    workers = [Forked(partial(begin, f"r{n}")) for n in range(4)]
    assert sorted(worker.end() for worker in workers) == [(0, [str(number)]) for number in (1, 2, 3, 4)]


def test_the_end_of_a_claims_run_is_sealed_and_that_of_another_is_not(log: RunLog) -> None:
    def sizes() -> list[int]:
        with open_database(log.home) as connection:
            return [one.size for one in list_checkpoints(connection)]

    log.list_runs()
    assert sizes() == [1]
    log.append(RECORD)
    assert sizes() == [1]
    log.start(replace(START, run_id="r2"), CLAIM)
    assert sizes() == [1]
    log.append(replace(RECORD, run_id="r2"))
    assert sizes() == [1, 5]


# Rows beside events


@pytest.mark.parametrize(
    ("table", "statement", "faults"),
    [
        ("run", "UPDATE runs SET result = '{{\"y\": 3}}'", [("run", 2), ("run", None)]),
        ("run", "UPDATE runs SET detail = 'nothing to see'", [("run", 2), ("run", None)]),
        ("run", "UPDATE runs SET actor = 'bob'", [("run", 2), ("run", None)]),
        ("run", "DELETE FROM runs", [("run", 2)]),
        ("run", "INSERT INTO runs SELECT * FROM runs", [("run", None)]),
        ("start", "UPDATE run_start SET request = '{{}}'", [("run", 1), ("run", None)]),
        ("start", "DELETE FROM run_start", [("run", 1)]),
    ],
)
def test_a_run_is_compared_with_its_event(
    table: str, statement: str, faults: list[tuple[str, int | None]], log: RunLog
) -> None:
    log.append(RECORD)
    with duckdb.connect(str(log.path)) as raw:
        name = "runs" if table == "run" else "run_start"
        for trigger in ("kept", "fixed"):
            raw.execute(f"DROP TRIGGER {table}_{trigger} ON {name}")
        raw.execute(statement.format())
    assert verify(log.home) == faults


# Files of version 1, as they were written before there was an audit log

VERSION_1 = """
CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM schema_version);
CREATE SEQUENCE IF NOT EXISTS run_number;
CREATE TABLE IF NOT EXISTS runs (
    number BIGINT NOT NULL DEFAULT nextval('run_number'),
    run_id VARCHAR NOT NULL, started_at VARCHAR NOT NULL, actor VARCHAR NOT NULL, session VARCHAR NOT NULL,
    kind VARCHAR NOT NULL, outcome VARCHAR NOT NULL, reason VARCHAR NOT NULL, detail VARCHAR NOT NULL,
    content_key VARCHAR NOT NULL, model_digest VARCHAR NOT NULL, prompts_sha256 VARCHAR NOT NULL,
    identity VARCHAR NOT NULL, request VARCHAR NOT NULL, result VARCHAR, wall_s DOUBLE NOT NULL
)
"""
OLD_ROW = (
    "INSERT INTO runs (run_id, started_at, actor, session, kind, outcome, reason, detail, content_key, model_digest, "
    "prompts_sha256, identity, request, result, wall_s) VALUES (?, 't', 'ada', 's1', 'sweep', 'done', '', '', ?, 'm', 'p', "
    "'{}', '{}', '{\"x\": 1}', 0.1)"
)


@pytest.fixture
def old(tmp_path: Path) -> RunLog:
    with duckdb.connect(str(tmp_path / "runs.duckdb")) as raw:
        raw.execute(VERSION_1)
        for n in range(3):
            raw.execute(OLD_ROW, [f"old-{n}", f"key-{n}"])
    return RunLog(tmp_path)


def test_an_old_file_keeps_its_runs_and_begins_a_log(old: RunLog) -> None:
    assert old.find_result("key-1") == {"x": 1}
    old.append(RECORD)
    assert [row.run_id for row in old.list_runs()] == ["r1", "old-2", "old-1", "old-0"]
    with open_database(old.home) as connection:
        found = verify_log(connection, public_key=load_log_key(old.home).public_key)
    assert (found.findings, found.runs_before, found.size) == ((), 3, 3)


@pytest.mark.parametrize("change", ["UPDATE runs SET result = '{}' WHERE run_id = 'old-1'", "DELETE FROM runs"])
def test_an_old_run_changed_after_the_log_began_is_a_finding(change: str, old: RunLog) -> None:
    old.list_runs()
    with duckdb.connect(str(old.path)) as raw:
        for trigger in ("run_kept", "run_fixed"):
            raw.execute(f"DROP TRIGGER {trigger} ON runs")
        raw.execute(change)
    assert verify(old.home) == [("run", 0)]


def test_a_migration_that_is_interrupted_leaves_the_old_file(old: RunLog, monkeypatch: pytest.MonkeyPatch) -> None:
    from audit_core.store.database import schema

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "begin_log", stop)
    with pytest.raises(KeyboardInterrupt):
        old.list_runs()
    with duckdb.connect(str(old.path)) as raw:
        assert raw.execute("SELECT version FROM schema_version").fetchall() == [(1,)]
        assert raw.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(2,)]
    monkeypatch.undo()
    assert len(old.list_runs()) == 3
