"""What every attribution method owes the reader: a score per unit, what it assumes and costs, and the same answer again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from audit_core.evidence.kind import Evidence
from audit_core.explanations import Task, UnitKind, make_task
from audit_core.prompts.alignment import tokenise
from audit_core.registry import list_plugins
from audit_core.subjects.planted import find_planted

METHODS = list_plugins("attributions")


@pytest.fixture(scope="module")
def task(load_planted: Callable[[str], Any]) -> Task:
    model, subject = find_planted("planted-strict"), load_planted("planted-strict")
    assert model is not None
    prompts = tokenise(model.find_task("query").make(1, 0), subject.tokenizer)
    return make_task(subject, prompts.take((0, 3)), prompts, UnitKind.TOKENS, seed=0)


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
def test_a_method_gives_each_unit_a_score_the_same_again_and_leaves_the_model_as_it_was(key: str, task: Task) -> None:
    method, ids = METHODS[key], [(pair, pair.clean_ids) for pair in task.prompts.pairs]
    before = make_task(task.subject, task.prompts, task.pool, UnitKind.TOKENS, seed=0).values.read(ids)
    first, again = method.score(task, seed=3), method.score(task, seed=3)
    after = make_task(task.subject, task.prompts, task.pool, UnitKind.TOKENS, seed=0).values.read(ids)
    np.testing.assert_array_equal(before, after)
    for one, other, units in zip(first.values, again.values, task.units, strict=True):
        assert one is not None
        assert one.shape == (len(units),)
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one, other)
        assert method.is_signed or (one >= 0).all()
    assert bool(first.error) is bool(method.check)
