"""Recorded circuits: they follow from their items, and are shown for exactly one model, circuit, ablation and set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from audit_core import Replacement, load_prompt_set, parse_components
from audit_core.assessment import QUICK_PROMPTS, RecordedCircuit, list_recorded
from audit_core.assessment.recorded import load_recorded
from audit_core.claim import Universe
from audit_core.errors import IntegrityError
from audit_core.shipped import list_circuits
from audit_core.stats.estimates import MIN_PROMPTS

RECORDS = {record.circuit: record for record in list_recorded()}
EXAMPLE = RECORDS["indirect_object-found"]


@pytest.mark.parametrize("record", RECORDS.values(), ids=list(RECORDS))
def test_a_record_is_of_its_shipped_circuit_and_of_the_prompts_of_today(record: RecordedCircuit) -> None:
    shipped = next(circuit for circuit in list_circuits() if circuit.id == record.circuit)
    assert record.is_about(shipped.components, shipped.universe, Replacement.RESAMPLE)
    assert record.is_on(shipped.task, load_prompt_set(shipped.task).sha256)
    assert record.measured_with.identity["weights_sha256"] == shipped.weights_sha256
    assert record.is_of_known("default")
    assert "folder" not in record.measured_with.identity


@pytest.mark.parametrize("record", RECORDS.values(), ids=list(RECORDS))
def test_every_answer_is_read_as_its_audit_returns_it(record: RecordedCircuit) -> None:
    assert record.list_current() == record.answers
    assert {answer.is_quick for answer in record.answers if answer.n < MIN_PROMPTS} <= {True}
    for answer in record.answers:
        answer.read()
        assert (answer.n <= QUICK_PROMPTS) is answer.is_quick


def test_a_recorded_verdict_follows_from_its_items() -> None:
    verdict = next(answer for answer in EXAMPLE.answers if answer.role == "sufficient").read()
    for family, estimate in verdict.families.items():
        items = [item for item in verdict.items if item.family == family]
        gap = sum(item.clean - item.empty for item in items)
        assert estimate.value == pytest.approx(sum(i.judged - i.empty for i in items) / gap, abs=2e-5)


def test_two_recorded_audits_of_one_quantity_agree() -> None:
    found = {answer.key: answer.read() for answer in EXAMPLE.answers}
    kept = found["recomposition"].kept.estimate.value
    assert kept == pytest.approx(found["sufficient"].families["resample"].value, abs=1e-3)
    assert kept == pytest.approx(found["circuit"].sufficiency.estimate.value, abs=1e-3)


def test_another_circuit_ablation_or_set_is_not_the_recorded_one() -> None:
    parts = parse_components("L20.H0 L23.H3 L29.H1")
    assert EXAMPLE.is_about(parts[::-1], Universe.HEADS, Replacement.RESAMPLE), "the order does not matter"
    assert not EXAMPLE.is_about(parts[:2], Universe.HEADS, Replacement.RESAMPLE)
    assert not EXAMPLE.is_about(parts, Universe.HEADS_MLPS, Replacement.RESAMPLE)
    assert not EXAMPLE.is_about(parts, Universe.HEADS, Replacement.MEAN)
    assert not EXAMPLE.is_on("indirect_object", "0" * 64)
    assert not EXAMPLE.is_of_known("planted-induction")


def test_answers_of_another_rule_or_another_version_of_an_audit_are_not_shown() -> None:
    older = replace(EXAMPLE, measured_with=replace(EXAMPLE.measured_with, rule_version=1))
    assert older.list_current() == ()
    first, *others = EXAMPLE.answers
    changed = replace(EXAMPLE, answers=(replace(first, version=first.version - 1), *others))
    assert changed.list_current() == tuple(others)


def test_a_file_that_is_no_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{}")
    with pytest.raises(IntegrityError, match="is not a record that this version reads"):
        load_recorded(path)


def test_a_result_that_does_not_parse_is_refused() -> None:
    with pytest.raises(IntegrityError, match="does not parse"):
        replace(EXAMPLE.answers[0], result={}).read()
