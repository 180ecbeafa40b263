"""Runs as MLflow gets them; `make mlflow-tests` sends them with its own client."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import pytest
from spec.test_parts import DONE, REFUSED, SECRETS

from audit_core.errors import Refused
from audit_core.exchange import tracked_runs
from audit_core.exchange.effect_table import tabulate_run
from audit_core.exchange.tracked_runs import UNENDED, describe_run, send_runs
from audit_core.store import RunLog

UNENDED_RUN = replace(DONE, run_id="a3", outcome=UNENDED, result=None)


def test_every_number_is_a_metric_whose_name_says_its_badge_with_its_interval_and_n_beside_it() -> None:
    run, rows = describe_run(DONE), tabulate_run(DONE).rows
    for row in rows:
        name = f"{row.badge}/{row.item or 'whole run'}/{row.quantity}"
        assert run.metrics[f"{name}/value"] == row.value
        assert run.metrics[f"{name}/n"] == row.n
        assert run.metrics.get(f"{name}/low") == row.low
        assert run.metrics.get(f"{name}/high") == row.high
        assert run.params[f"unit.{row.quantity}"] == row.unit
    assert len([name for name in run.metrics if name.endswith("/value")]) == len(rows)
    assert {name.split("/")[0] for name in run.metrics} <= {"causal", "observational", "estimated"}
    assert (run.is_done, run.ended_ms - run.started_ms) == (True, 1500)


def test_a_run_that_was_not_measured_has_no_number_and_its_reason() -> None:
    run = describe_run(REFUSED)
    assert (run.metrics, run.effects, run.is_done) == ({}, b"", False)
    assert (run.tags["assay.outcome"], run.tags["assay.reason"]) == (REFUSED.outcome, REFUSED.reason)


@pytest.mark.parametrize("wrap", [lambda verdict: verdict, lambda verdict: {"verdict": verdict}])
def test_a_verdict_is_beside_the_numbers_it_is_about(wrap: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tabulate_run(DONE)
    monkeypatch.setattr(tracked_runs, "tabulate_run", lambda record: table)
    verdict = {"state": "inconclusive", "reason": "low_power", "sentence": "Not decided."}
    tags = describe_run(replace(DONE, kind="confirmation", result=json.dumps(wrap(verdict)))).tags
    found = {name.removeprefix("assay.verdict"): text for name, text in tags.items() if "verdict" in name}
    assert found == {"": "inconclusive", "_reason": "low_power", "_sentence": "Not decided."}
    assert not any("verdict" in name for name in describe_run(DONE).tags)


def test_neither_people_nor_prompts_nor_this_machine_leave() -> None:
    for record in (DONE, REFUSED):
        assert not [secret for secret in SECRETS if secret in repr(describe_run(record))]


def test_names_are_what_the_server_takes_and_no_two_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tabulate_run(DONE).rows
    odd = [replace(rows[0], item="L0.H1→L2.H3"), replace(rows[0], item="L0.H1⇒L2.H3"), replace(rows[0], item="x" * 300)]
    table = replace(tabulate_run(DONE), rows=tuple(odd))
    monkeypatch.setattr(tracked_runs, "tabulate_run", lambda record: table)
    names = list(describe_run(DONE).metrics)
    assert len([name for name in names if name.endswith("/value")]) == 3
    assert all(len(name) <= 250 and name.isascii() for name in names)


def test_an_answer_that_a_param_cannot_carry_is_cut_and_written_as_json() -> None:
    asked = {"components": ["L0.H1"], "sentence": "a" * 900, "empty": ""}
    run = describe_run(replace(DONE, request=json.dumps(asked)))
    assert run.params["request.components"] == '["L0.H1"]'
    assert len(run.params["request.sentence"]) == 500
    assert "request.empty" not in run.params


def test_without_the_extra_it_is_refused_with_the_command_that_installs_it(
    own_home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(Refused, match=r"pip install 'assay\[mlflow\]'"):
        send_runs(RunLog(own_home), "http://localhost:5000")  # type: ignore[arg-type]
