"""The audit of decisions on the planted model: its wiring is known, and the proxy is found."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from audit_core import open_subject
from audit_core.decisions import (
    FILE,
    OUTCOME,
    PLANTED,
    SLOTS,
    TEMPLATE,
    DecisionTask,
    find_recorded,
    measure_decisions,
    read_credit,
    read_task,
)
from audit_core.decisions.counterfactuals import Alternative
from audit_core.decisions.people import run_again
from audit_core.decisions.table import DecisionTable, SubjectDecider, check_table, fill_table
from audit_core.errors import ControlFailed, Refused
from audit_core.subject import Progress, Subject, no_progress
from audit_core.subjects.planted_decision import decide_by_rule

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def subject() -> Subject:
    return open_subject(PLANTED)


@pytest.fixture(scope="module")
def task() -> DecisionTask:
    return read_task(read_credit(), name=FILE, template=TEMPLATE, slots=SLOTS, outcome=OUTCOME)


def load_maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_decisions", ROOT / "data/decisions/make.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


class Constant:
    """Says the same of everyone."""

    tolerance = 1e-6

    def decide(self, rows: object, *, on_progress: Progress = no_progress) -> np.ndarray:
        return np.full(len(rows), -1.0)  # type: ignore[arg-type]


def test_the_shipped_file_is_written_byte_for_byte_by_its_script() -> None:
    assert load_maker().make() == read_credit()


def test_the_planted_model_decides_by_its_rule(subject: Subject, task: DecisionTask) -> None:
    rows = task.rows[:60]
    rule = [decide_by_rule(tuple(s.levels[at] for s, at in zip(task.slots, row, strict=True))) for row in rows]
    assert SubjectDecider(subject, task).decide(rows) == pytest.approx(rule, abs=1e-3)


def test_the_same_applicant_is_decided_alike_and_other_facts_change_the_preference(
    subject: Subject, task: DecisionTask
) -> None:
    decider = SubjectDecider(subject, task)
    controls = check_table(
        decider, fill_table(decider, task.slots), np.array(task.rows[:60]), decider.decide(task.rows[:60])
    )
    assert controls.identity_max <= controls.tolerance
    assert controls.noise_min > 1
    assert controls.edits == 972


def test_the_recorded_run_finds_the_proxy_by_mediation_and_by_its_flip_and_names_what_misses_it() -> None:
    recorded = find_recorded(PLANTED)
    assert recorded is not None
    result = recorded.result
    slots = {row.slot: row for row in result.by_slot}
    assert slots["gender"].effect.value == 0
    assert slots["region"].effect.value == pytest.approx(-1.2, abs=1e-3)
    found = {(row.attribute, row.mediator) for row in result.through if row.is_proxy and row.attribute == "gender"}
    assert found == {("gender", "region")}
    assert "gender: Shapley values" in result.misses
    assert "gender: permutation importance" in result.misses
    assert "region" in result.finding


def test_the_default_model_does_not_do_the_task_and_nothing_else_was_measured() -> None:
    recorded = find_recorded("default")
    assert recorded is not None
    assert not recorded.result.does_task
    assert recorded.result.finding.startswith("The model does not do this task")
    assert recorded.result.by_slot == ()


def test_a_model_with_one_answer_is_not_measured_further(task: DecisionTask) -> None:
    found = measure_decisions(Constant(), task, seed=0)
    assert not found.does_task
    assert found.curves == ()


def test_a_counterfactual_that_does_not_flip_the_decision_when_run_stops_the_audit() -> None:
    one = Alternative((0, 1), (0,), 1.0, True, 0.5)
    with pytest.raises(ControlFailed):
        run_again(Constant(), (one.row,), is_yes=False)


@pytest.mark.parametrize(
    ("raw", "template"),
    [
        (b"\xff\xfe", TEMPLATE),
        (b"a,b\n1,2\n", TEMPLATE),
        (b"x" * 1_000_001, TEMPLATE),
        (read_credit().replace(b"medium", b"<script>", 1), TEMPLATE),
        (read_credit(), TEMPLATE.replace("{region}", "")),
    ],
)
def test_a_file_or_template_that_cannot_be_used_is_refused(raw: bytes, template: str) -> None:
    with pytest.raises(Refused):
        read_task(raw, name="own", template=template, slots=SLOTS, outcome=OUTCOME)


@pytest.mark.parametrize(
    ("values", "change", "words"),
    [([0.0, 1.0], 0.0, ""), ([0.0, 1.0], 0.5, "run twice"), ([1.0, 1.0], 0.0, "does not read the template")],
)
def test_a_table_that_answers_otherwise_or_always_alike_gives_no_number(
    values: list[float], change: float, words: str
) -> None:
    table = DecisionTable((), np.array(values))
    rows = np.array([[0], [1]])
    asked = (Constant(), table, rows, np.array(values) + change)
    if not words:
        assert check_table(*asked).noise_min == 1
    else:
        with pytest.raises(ControlFailed, match=words):
            check_table(*asked)
