"""What every attribution method owes the reader: a score per unit, what it assumes and costs, and the same answer again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from audit_core.errors import NotMeasured
from audit_core.evidence.kind import Evidence
from audit_core.explanations import InputValues, Scores, Task, UnitKind, make_task
from audit_core.judging.verdict import REASONS
from audit_core.prompts.alignment import tokenise
from audit_core.registry import list_plugins
from audit_core.subjects.planted import find_planted

METHODS = list_plugins("attributions")
ADD_UP = ("conservation error", "efficiency error")
"""Checks that the sum of a method's scores is the number that they divide."""


MODELS = ("planted-strict", "planted-llama")
"""One of each family: a method may refuse one of them by name."""


@pytest.fixture(scope="module")
def tasks(load_planted: Callable[[str], Any]) -> list[Task]:
    found = []
    for name in MODELS:
        model, subject = find_planted(name), load_planted(name)
        assert model is not None
        prompts = tokenise(model.find_task("query").make(1, 0), subject.tokenizer)
        found.append(make_task(subject, prompts.take((0, 3)), prompts, UnitKind.TOKENS, seed=0))
    return found


def score_one(method: Any, tasks: list[Task]) -> tuple[Task, Scores]:
    """Scores on the first model that the method does not refuse; a refusal says what is wrong with the model."""
    refusals = []
    for task in tasks:
        try:
            return task, method.score(task, seed=3)
        except NotMeasured as refusal:
            refusals.append(refusal)
        assert all(each.reason in REASONS and len(each.detail) > 20 for each in refusals)
    raise AssertionError(f"{method.name} scores none of {MODELS}.")


def read_answers(task: Task) -> np.ndarray:
    """The metric of every prompt as it is, run again; shape (prompt,)."""
    return InputValues(task.subject).read([(pair, pair.clean_ids) for pair in task.prompts.pairs])


@pytest.mark.parametrize("key", METHODS)
def test_a_method_says_what_it_is_assumes_and_costs(key: str) -> None:
    method = METHODS[key]
    assert method.name == key
    assert method.title
    assert method.question.endswith("?")
    assert method.assumes.endswith(".")
    assert method.costs.endswith(".")
    assert isinstance(method.evidence, Evidence)
    assert (method.evidence is Evidence.CAUSAL) is (key == "occlusion"), "what is measured is occlusion alone"


@pytest.mark.parametrize("key", METHODS)
def test_a_method_gives_each_unit_a_score_the_same_again_and_leaves_the_model_as_it_was(
    key: str, tasks: list[Task]
) -> None:
    method = METHODS[key]
    before = [read_answers(task) for task in tasks]
    task, first = score_one(method, tasks)
    again = method.score(task, seed=3)
    np.testing.assert_array_equal(before, [read_answers(task) for task in tasks])
    for one, other, units in zip(first.values, again.values, task.units, strict=True):
        assert one is not None
        assert one.shape == (len(units),)
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one, other)
        assert method.is_signed or (one >= 0).all()
    assert bool(first.error) is bool(method.check)


@pytest.mark.parametrize("key", [key for key in METHODS if METHODS[key].check in ADD_UP])
def test_scores_that_promise_to_add_up_do_so_to_a_thousandth(key: str, tasks: list[Task]) -> None:
    errors = score_one(METHODS[key], tasks)[1].error
    assert max(error for error in errors if error is not None) <= 1e-3
