"""Runs of the log as runs of MLflow, for teams that keep their experiments there; the client is the extra `mlflow`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit_core.errors import Refused
from audit_core.exchange.effect_csv import write_csv
from audit_core.exchange.effect_table import EffectRow, EffectTable, tabulate_run
from audit_core.store import RunLog
from audit_core.store.log.run_log import RunRecord

RUN_ID = "assay.run_id"
"""Tag that names the run of the log: a run that is there is not sent again."""
UNENDED = "abandoned"
MOST_METRICS = 20_000
"""Numbers of a run that become metrics; the table of effects has all."""
_BATCH, _PAGE, _MOST_TEXT, _MOST_NAME = 1_000, 1_000, 500, 250
_NOT_IN_NAMES = re.compile(r"[^\w./ -]+", re.ASCII)
_RUNNING, _FINISHED, _FAILED = "RUNNING", "FINISHED", "FAILED"


@dataclass(frozen=True)
class TrackedRun:
    """What MLflow is given of a run: no actor, no session, no prompt, and no detail, which may quote one."""

    run_id: str
    name: str
    started_ms: int
    ended_ms: int
    is_done: bool
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    """By `badge/item/quantity/value`, with `low`, `high`, `level`, `n` and `templates` beside it: a metric has no place for them."""
    effects: bytes
    """The estimates as CSV, with units and badges; empty if the run has none."""


@dataclass(frozen=True)
class Sent:
    """Runs of one log in an experiment."""

    new: int
    known: int
    """Runs that were there already."""
    without_effects: int
    """Of the new ones."""
    left_out: int
    """Runs without an end."""


def describe_run(record: RunRecord) -> TrackedRun:
    """What MLflow is given of a run that has ended."""
    try:
        table = tabulate_run(record)
    except Refused:
        table = None
    identity = json.loads(record.identity)
    started = round(datetime.fromisoformat(record.started_at).timestamp() * 1000)
    tags = {
        RUN_ID: record.run_id, "assay.audit": record.kind, "assay.outcome": record.outcome, "assay.reason": record.reason,
        "assay.content_key": record.content_key, "assay.model": str(identity.get("model", "")), "assay.model_digest": record.model_digest,
        "assay.prompts": str(identity.get("prompts", "")), "assay.prompts_sha256": record.prompts_sha256,
    }  # fmt: skip
    return TrackedRun(
        record.run_id,
        f"{record.kind} {record.run_id[:8]}",
        started,
        started + round(record.wall_s * 1000),
        record.result is not None,
        {name: value[:_MOST_TEXT] for name, value in (tags | _describe_verdict(record)).items()},
        _list_params(record, table),
        {} if table is None else dict(_name_numbers(table)),
        b"" if table is None else write_csv(table),
    )


def _describe_verdict(record: RunRecord) -> dict[str, str]:
    """What was decided, of a run that decides: its effects alone would say more than its verdict."""
    result = json.loads(record.result or "{}")
    verdict = result.get("verdict") or result
    if not isinstance(verdict, dict) or "state" not in verdict:
        return {}
    names = {"state": "verdict", "reason": "verdict_reason", "sentence": "verdict_sentence"}
    return {f"assay.{name}": str(verdict[field]) for field, name in names.items() if verdict.get(field)}


def _list_params(record: RunRecord, table: EffectTable | None) -> dict[str, str]:
    """The request's answers, and the unit of each quantity, which a metric cannot carry."""
    asked = {
        f"request.{name}": value if isinstance(value, str) else json.dumps(value)
        for name, value in json.loads(record.request).items()
    }
    units: dict[str, set[str]] = {}
    for row in () if table is None else table.rows:
        units.setdefault(row.quantity, set()).add(row.unit)
    said = {f"unit.{name}": " or ".join(sorted(found)) for name, found in units.items()}
    return {_spell(name): value[:_MOST_TEXT] for name, value in (asked | said).items() if value}


def _name_numbers(table: EffectTable) -> Iterator[tuple[str, float]]:
    used: set[str] = set()
    count = 0
    for row in table.rows:
        name = _spell(f"{row.badge}/{row.item or 'whole run'}/{row.quantity}")
        at = 2
        while name in used:
            name, at = _spell(f"{row.badge}/{row.item or 'whole run'} {at}/{row.quantity}"), at + 1
        used.add(name)
        for part, number in _list_numbers(row):
            if count == MOST_METRICS:
                return
            yield f"{name}/{part}", float(number)
            count += 1


def _list_numbers(row: EffectRow) -> list[tuple[str, float]]:
    numbers = {
        "value": row.value, "low": row.low, "high": row.high, "level": row.level, "n": row.n, "templates": row.templates,
        "adjusted_p": row.adjusted_p,
    }  # fmt: skip
    return [(name, number) for name, number in numbers.items() if number is not None]


def _spell(name: str) -> str:
    """A name with the characters and length that MLflow takes."""
    return _NOT_IN_NAMES.sub("_", name)[: _MOST_NAME - len("/adjusted_p")]


def send_runs(
    log: RunLog, uri: str, experiment: str = "assay", on_progress: Callable[[int, int], None] = lambda *_: None
) -> Sent:
    """Write each ended run that is not there yet; a run whose export was stopped is deleted there and written again.

    Args:
        uri: tracking server, such as http://localhost:5000.
        experiment: created if it is not there.

    Raises:
        Refused: MLflow is missing, or its server refuses or does not answer.
    """
    mlflow = _import_mlflow()
    records = log.list_runs(limit=2**31)[::-1]
    ended = [record for record in records if record.outcome != UNENDED]
    new = without = 0
    try:
        client = mlflow.MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        number = found.experiment_id if found is not None else client.create_experiment(experiment)
        known = _list_known(client, number)
        for at, record in enumerate(ended):
            if record.run_id not in known:
                run = describe_run(record)
                _send(mlflow, client, number, run)
                new, without = new + 1, without + (not run.effects)
            on_progress(at + 1, len(ended))
    except mlflow.exceptions.MlflowException as error:
        raise Refused(
            f"{uri[:80]} did not take the runs: {str(error).strip().splitlines()[0][:300]} {new} of {len(ended)} were written.",
            wanted="a tracking server that is running, and access to it in MLFLOW_TRACKING_TOKEN or MLFLOW_TRACKING_USERNAME.",
            remedy="check the address; then repeat the command, which writes what is missing.",
        ) from error  # fmt: skip
    return Sent(new, len(ended) - new, without, len(records) - len(ended))


def _import_mlflow() -> Any:
    # Usage statistics are on by default and leave the machine.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    # Standard output is for one JSON document, where it is asked for.
    os.environ |= {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    # A server that is not there is refused within seconds instead of minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    try:
        import mlflow
        import mlflow.exceptions
    except ImportError as error:
        raise Refused(
            "MLflow is not installed.",
            wanted="the extra `mlflow`.",
            remedy="pip install 'assay[mlflow]', or use `exchange effects`, which writes a file.",
        ) from error
    return mlflow


def _list_known(client: Any, experiment: str) -> set[str]:
    """Runs that were written to their end; those that were not are deleted."""
    known, token = set(), None
    while True:
        page = client.search_runs([experiment], filter_string="", max_results=_PAGE, page_token=token)
        for run in page:
            if (run_id := run.data.tags.get(RUN_ID)) is None:
                continue
            if run.info.status == _RUNNING:
                client.delete_run(run.info.run_id)
            else:
                known.add(run_id)
        if not (token := page.token):
            return known


def _send(mlflow: Any, client: Any, experiment: str, run: TrackedRun) -> None:
    entities = mlflow.entities
    made = client.create_run(experiment, start_time=run.started_ms, tags=run.tags, run_name=run.name)
    there = made.info.run_id
    params = [entities.Param(name, value) for name, value in run.params.items()]
    metrics = [entities.Metric(name, value, run.ended_ms, 0) for name, value in run.metrics.items()]
    for at in range(0, len(params), 100):
        client.log_batch(there, params=params[at : at + 100])
    for at in range(0, len(metrics), _BATCH):
        client.log_batch(there, metrics=metrics[at : at + _BATCH])
    if run.effects:
        client.log_text(there, run.effects.decode(), "effects.csv")
    # Last: a run that says that it ended has all of it.
    client.set_terminated(there, _FINISHED if run.is_done else _FAILED, end_time=run.ended_ms)
