"""`log export --mlflow` with MLflow's own client: `make mlflow-tests`. Its store is a folder, or the server in MLFLOW_TEST_URI.

Prints what held, and ends with an error at the first thing that does not.
"""

from __future__ import annotations

import csv
import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
sys.path.insert(0, str(Path(__file__).parents[1]))

import contextlib

from spec.test_parts import DONE, REFUSED, SECRETS
from spec.test_tracked_runs import UNENDED_RUN

from audit_core.errors import Refused
from audit_core.exchange import tracked_runs
from audit_core.exchange.effect_table import tabulate_run
from audit_core.exchange.tracked_runs import RUN_ID, Sent, send_runs
from audit_core.store import RunLog


def check(folder: Path, uri: str) -> None:
    """Each run once, with all of its numbers and nothing private."""
    from mlflow import MlflowClient

    log, name = RunLog(folder / "home"), f"assay-{os.getpid()}"
    (folder / "home").mkdir(mode=0o700)
    for record in (DONE, REFUSED, UNENDED_RUN):
        log.append(record)
    assert send_runs(log, uri, name) == Sent(2, 0, 1, 1)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(name).experiment_id

    def read() -> dict[str, Any]:
        return {run.data.tags[RUN_ID]: run for run in client.search_runs([experiment])}

    runs = read()
    rows = tabulate_run(DONE).rows
    done = runs[DONE.run_id]
    first = rows[0]
    name_there = f"{first.badge}/{first.item or 'whole run'}/{first.quantity}"
    for part, number in (("value", first.value), ("low", first.low), ("n", first.n)):
        assert done.data.metrics.get(f"{name_there}/{part}") == number
    assert done.data.metrics == tracked_runs.describe_run(DONE).metrics
    assert done.data.params[f"unit.{first.quantity}"] == first.unit
    assert (done.info.status, runs[REFUSED.run_id].info.status) == ("FINISHED", "FAILED")
    assert not runs[REFUSED.run_id].data.metrics, "what was not measured has no number"
    text = Path(client.download_artifacts(done.info.run_id, "effects.csv", str(folder))).read_text(encoding="utf-8")
    assert [row["unit"] for row in csv.DictReader(io.StringIO(text))] == [row.unit for row in rows]
    said = repr(
        [(run.data.to_dictionary(), run.info.user_id if uri.startswith("http") else "") for run in runs.values()]
    )
    assert not [secret for secret in SECRETS if secret in said + text]
    print(f"2 runs with {len(done.data.metrics)} metrics; a run that was not measured is FAILED and has none")

    assert send_runs(log, uri, name) == Sent(0, 2, 0, 1)
    print("sent again: nothing added")
    check_stopped(log, uri, name, client, done, read)
    check_no_server(log, name)


def check_stopped(log: RunLog, uri: str, name: str, client: Any, done: Any, read: Callable[[], dict[str, Any]]) -> None:
    """An export that is stopped within a run leaves no part of it behind the next one."""
    client.delete_run(done.info.run_id)
    stop, send = [KeyboardInterrupt], tracked_runs._send

    def send_part(mlflow: object, there: Any, number: str, run: tracked_runs.TrackedRun) -> None:
        class Stopped:
            def __getattr__(self, called: str) -> object:
                if called == "log_text" and stop:
                    raise stop.pop()
                return getattr(there, called)

        send(mlflow, Stopped(), number, run)

    tracked_runs._send = send_part
    with contextlib.suppress(KeyboardInterrupt):
        send_runs(log, uri, name)
    assert read()[DONE.run_id].info.status == "RUNNING"
    assert send_runs(log, uri, name) == Sent(1, 1, 0, 1)
    tracked_runs._send = send
    again = read()
    assert len(again) == 2
    assert again[DONE.run_id].data.metrics == done.data.metrics
    print("stopped in the middle and sent again: each run once, with all of its numbers")


def check_no_server(log: RunLog, name: str) -> None:
    try:
        send_runs(log, "http://127.0.0.1:9", name)
    except Refused as error:
        print(f"no server: {str(error)[:110]}…")
    else:
        raise AssertionError("a server that is not there took the runs")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        check(Path(made), os.environ.get("MLFLOW_TEST_URI") or f"file:{made}/runs")
