"""Inputs as a tree: the same values as one by one, with fewer positions run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from audit_core.engine import input_tree, path_gradients
from audit_core.engine.input_tree import group_rows, plan_steps, run_tree
from audit_core.engine.path_gradients import midpoints, nested_points
from audit_core.intervention import CLEAN_RUN
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import no_progress
from audit_core.subjects.planted import find_planted


@pytest.fixture(scope="module")
def changed(load_planted: Callable[[str], Any]) -> tuple[Any, TokenisedPrompts]:
    """One prompt with every subset of its last places replaced, and others of another length."""
    model, subject = find_planted("planted-strict"), load_planted("planted-strict")
    assert model is not None
    prompts = tokenise(model.find_task("vote").make(4, 0), subject.tokenizer)
    first = prompts.pairs[0]
    length = len(first.clean_ids)
    pairs = []
    for mask in range(64):
        ids = list(first.clean_ids)
        for bit in range(6):
            if mask >> bit & 1:
                ids[length - 2 - bit] = prompts.pairs[1].clean_ids[length - 2 - bit]
        pairs.append(replace(first, clean_ids=tuple(ids)))
    shorter = [replace(pair, clean_ids=pair.clean_ids[1:], corrupted_ids=pair.corrupted_ids[1:]) for pair in pairs[:3]]
    return subject, replace(prompts, pairs=(*pairs, *shorter))


def test_values_are_those_of_whole_runs_and_beginnings_run_once(
    changed: tuple[Any, TokenisedPrompts], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, prompts = changed
    assert subject.runner.shares_prefix
    monkeypatch.setattr(input_tree, "PASS_TOKENS", 1)
    run = []
    monkeypatch.setattr(
        input_tree, "call_block", lambda *a, **k: run.append(a[2].shape[:2].numel()) or call_block(*a, **k)
    )
    found = run_tree(subject.runner, prompts, on_progress=no_progress)
    whole = subject.run(prompts, (CLEAN_RUN,))
    assert found.answer == pytest.approx(whole.answer, abs=1e-4)
    assert found.foil == pytest.approx(whole.foil, abs=1e-4)
    assert np.ptp(whole.answer - whole.foil) > 1
    assert sum(run) < 0.6 * subject.geometry.n_layers * sum(len(pair.clean_ids) for pair in prompts.pairs)


call_block = input_tree.call_block


def test_steps_cut_where_inputs_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four inputs share three of five tokens: 3 + 4 · 2 = 11 positions for 20; where a pass costs 48, one step is less."""
    rows = [(1, 2, 3, a, b) for a in (4, 5) for b in (6, 7)]
    assert [(step.start, step.end) for step in plan_steps(rows)] == [(0, 5)]
    monkeypatch.setattr(input_tree, "PASS_TOKENS", 0)
    first, *others = plan_steps(rows)
    assert first.beginnings == ((1, 2, 3),)
    assert sum(len(step.beginnings) * (step.end - step.start) for step in (first, *others)) == 3 + 2 + 4
    assert others[-1].beginnings == tuple(rows)
    assert others[-1].parents == (0, 0, 1, 1)


def test_groups_are_of_one_length_and_hold_every_input_once() -> None:
    rows = [(at % 3, *range(3 + at % 2)) for at in range(20)]
    groups = list(group_rows(rows, lambda length: 12))
    assert sorted(at for group in groups for at in group) == list(range(20))
    assert all(len({len(rows[at]) for at in group}) == 1 for group in groups)
    assert max(map(len, groups)) <= 8


@pytest.mark.parametrize("rule", [midpoints, nested_points])
def test_rules_integrate_over_the_whole_path(rule: Callable[[int], tuple[list[float], list[float]]]) -> None:
    """Eight steps: ∫ x⁷ = 1/8 exactly by Clenshaw–Curtis, and 3 % less by midpoints. Twice the steps keep every point."""
    points, weights = map(np.array, rule(8))
    assert weights.sum() == pytest.approx(1)
    assert weights @ points == pytest.approx(1 / 2)
    assert (abs(weights @ points**7 - 1 / 8) < 1e-9) == (rule is nested_points)


def test_twice_the_steps_reuse_every_point(load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen steps have 17 points, of which eight had 9; the ends of the path are among them."""
    assert set(nested_points(8)[0]) < set(nested_points(16)[0])
    model, subject = find_planted("planted-strict"), load_planted("planted-strict")
    assert model is not None
    pair = tokenise(model.find_task("context").make(4, 0), subject.tokenizer).pairs[0]
    rows: list[int] = []
    own = path_gradients.measure_gradients
    monkeypatch.setattr(path_gradients, "measure_gradients", lambda *given: rows.append(len(given[1])) or own(*given))
    baseline = path_gradients.embed(subject.runner, [pair.corrupted_ids])[0].numpy()
    found = path_gradients.integrate_gradients(subject, pair, baseline, steps=8, most=64, aim=0.0, rule=nested_points)
    assert found.steps == 64
    assert sum(rows) == 65
