"""Slots as directions of a language model: what the planted model adds up moves its answer, and what it never reads does not."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from audit_core import open_subject
from audit_core.decisions import DELTA, FILE, OUTCOME, PLANTED, SLOTS, TEMPLATE, DecisionTask, read_credit, read_task
from audit_core.decisions import concepts as slot_concepts
from audit_core.decisions.concepts import choose_layers, measure_slot_concepts
from audit_core.decisions.table import EstimatorDecider, SubjectDecider, ask_rows
from audit_core.engine.last_position import LastPosition
from audit_core.errors import ControlFailed
from audit_core.subject import Subject
from audit_core.subjects.planted_decision import WEIGHTS, _name_folder, list_words
from audit_core.vision.directions import DOES_LITTLE, LIKE_RANDOM, MOVES, TURNS, UNDECIDED, WITH

SPREAD = 1.5
UNREAD = {"twenties", "forties", "sixties", "man", "woman", "months", "years", "decades"}


@pytest.fixture(scope="module")
def subject() -> Subject:
    return open_subject(PLANTED)


@pytest.fixture(scope="module")
def task() -> DecisionTask:
    return read_task(read_credit(), name=FILE, template=TEMPLATE, slots=SLOTS, outcome=OUTCOME)


@pytest.fixture(scope="module")
def busy(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """The planted model with twenty more dimensions that words for age, gender and tenure write and nothing reads."""
    folder = tmp_path_factory.mktemp("busy") / "busy-decision"
    shutil.copytree(_name_folder(), folder)
    (path,) = folder.glob("*.safetensors")
    weights = load_file(path)
    n_tokens, extra = len(TEMPLATE.split()) + 1, range(4, 24)
    word, value, out = (weights[f"transformer.{name}.weight"] for name in ("wte", "h.0.attn.c_attn", "h.0.attn.c_proj"))
    noise = np.random.default_rng(0).normal(scale=0.5, size=(len(word), len(extra))).astype(np.float32)
    noise *= np.array([[listed in UNREAD] for listed in list_words()], np.float32)
    word[:, list(extra)], width = noise, word.shape[1]
    # What is written is taken from another dimension, so that the norms' means stay zero.
    word[:, width - 3] -= noise.sum(1)
    for at in extra:
        value[at, 2 * width + at], out[at, at], out[at, width - 3] = 1, n_tokens, -n_tokens
    save_file(weights, path, metadata={"format": "pt"})
    return open_subject(str(folder))


def test_directions_of_slots_that_are_read_move_the_decision_and_those_of_others_do_not(
    busy: Subject, task: DecisionTask
) -> None:
    """Income high against low adds 1.2 + 1.0 logits, and 0.75 for a large loan; gender and age add nothing."""
    rows, why = measure_slot_concepts(SubjectDecider(busy, task), task.rows, SPREAD, seed=0)
    assert not why
    by_slot = {row.concept.partition(":")[0]: row for row in rows}
    assert list(by_slot) == [slot.name for slot in task.slots]
    assert {row.layer for row in rows} == {1}
    income, region = by_slot["income"], by_slot["region"]
    assert (income.says, income.does) == (WITH, MOVES)
    weights = WEIGHTS["high"] - WEIGHTS["low"]
    assert weights - 0.05 <= income.brought.value * SPREAD <= weights + 0.8
    assert income.accuracy.value > 0.7
    assert region.does == TURNS
    assert region.brought.value * SPREAD == pytest.approx(WEIGHTS["south"] - WEIGHTS["north"], abs=0.2)
    for name in ("gender", "age"):
        assert by_slot[name].does == DOES_LITTLE
        assert by_slot[name].accuracy.value > 0.7
        assert abs(by_slot[name].brought.value) < DELTA


def test_where_random_directions_do_as_much_nothing_is_decided(subject: Subject, task: DecisionTask) -> None:
    """In the planted model as it is, applicants differ along the answer's own direction and one other alone."""
    rows, _ = measure_slot_concepts(SubjectDecider(subject, task), task.rows, SPREAD, seed=0)
    by_slot = {row.concept.partition(":")[0]: row for row in rows}
    assert by_slot["income"].does == UNDECIDED
    assert by_slot["income"].brought.value > 1
    assert by_slot["gender"].says == LIKE_RANDOM
    assert by_slot["gender"].does == DOES_LITTLE


def test_the_last_position_is_followed_to_the_models_own_answer_and_differentiated_by_it(
    subject: Subject, task: DecisionTask
) -> None:
    """From the input of every layer; the gradient predicts a small step along it."""
    pairs = ask_rows(task, task.rows[:6], subject).pairs
    states = LastPosition(subject.runner, pairs)  # type: ignore[attr-defined]
    own = SubjectDecider(subject, task).decide(task.rows[:6])
    for layer in (0, 1):
        assert states.finish(states.read(layer), layer) == pytest.approx(own, abs=1e-3)
    # Steps beside the norm's ballast are small; every state twice, as the trial asks for them.
    step = np.zeros_like(states.read(1))
    step[:, 2] = 0.5
    moved = states.finish(np.concatenate([states.read(1), states.read(1) + step]), 1).reshape(2, -1)
    wanted = (states.differentiate(1) * step).sum(1)
    assert np.abs(wanted).min() > 0.1
    assert moved[1] - moved[0] == pytest.approx(wanted, abs=2e-3)


def test_states_that_do_not_lead_to_the_models_answer_are_refused(
    subject: Subject, task: DecisionTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Off(LastPosition):
        def finish(self, states: np.ndarray, layer: int) -> np.ndarray:
            return super().finish(states, layer) + (0.5 if states.shape[0] > 1 and layer == 1 and self.asked() else 0)

        calls = 0

        def asked(self) -> bool:
            Off.calls += 1
            return Off.calls > 1

    monkeypatch.setattr(slot_concepts, "LastPosition", Off)
    with pytest.raises(ControlFailed, match="written back"):
        measure_slot_concepts(SubjectDecider(subject, task), task.rows, SPREAD, seed=0)


def test_why_concepts_are_not_tried_is_said(subject: Subject, task: DecisionTask) -> None:
    assert "no layers" in measure_slot_concepts(EstimatorDecider(object()), task.rows, SPREAD, seed=0)[1]
    assert "fewer than 40" in measure_slot_concepts(SubjectDecider(subject, task), task.rows[:39], SPREAD, seed=0)[1]


def test_layers_are_thirds_of_the_depth_and_the_end() -> None:
    assert choose_layers(1) == (1,)
    assert choose_layers(12) == (4, 8, 12)
    assert choose_layers(30) == (10, 20, 30)
