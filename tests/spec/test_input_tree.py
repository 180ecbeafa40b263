"""Inputs as a tree: the same values as one by one, with fewer positions run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from audit_core.engine import input_tree
from audit_core.engine.input_tree import (
    _count_beginnings,
    _count_shared,
    group_rows,
    keep_longest,
    plan_steps,
    run_tree,
)
from audit_core.intervention import CLEAN_RUN
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.answers import Tokens
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


def count_positions(rows: Sequence[Tokens]) -> int:
    return sum(len(step.beginnings) * (step.end - step.start) for step in plan_steps(rows))


def test_steps_cut_where_inputs_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four inputs share three of five tokens: 3 + 2 + 4 = 9 positions for 20; where a pass costs 48, one step is less."""
    rows = [(1, 2, 3, a, b) for a in (4, 5) for b in (6, 7)]
    assert [(step.start, step.end) for step in plan_steps(rows)] == [(0, 5)]
    monkeypatch.setattr(input_tree, "PASS_TOKENS", 0)
    first, *others = plan_steps(rows)
    assert first.beginnings == ((1, 2, 3),)
    assert count_positions(rows) == 3 + 2 + 4
    assert others[-1].beginnings == tuple(rows)
    assert others[-1].parents == (0, 0, 1, 1)


def test_an_input_that_ends_is_not_padded_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten inputs of two tokens and one of eight: 11 · 2 + 6 positions. One that another begins with costs nothing."""
    rows = [*((at, at) for at in range(10)), (20, *range(7))]
    assert count_positions(rows) == 11 * 2 + 6
    assert count_positions([*rows, (20, 0, 1), rows[0]]) == 11 * 2 + 6
    assert plan_steps(rows)[-1].beginnings == ((20, *range(7)),)
    # Where a pass costs more than the padding, lengths run together.
    monkeypatch.setattr(input_tree, "PASS_TOKENS", 1000)
    (only,) = plan_steps(rows)
    assert only.pad()[0] == (0,) * 8


def test_beginnings_are_counted_as_a_set_of_them_would() -> None:
    draw = np.random.default_rng(0)
    leaves = keep_longest([tuple(map(int, draw.integers(0, 2, draw.integers(1, 9)))) for _ in range(40)])
    lengths = np.array([len(leaf) for leaf in leaves])
    shared = np.array([0, *(_count_shared(a, b) for a, b in itertools.pairwise(leaves))])
    for start in range(lengths.max()):
        ends = np.arange(start + 1, lengths.max() + 1)
        literal = [len({leaf[:end] for leaf in leaves if len(leaf) > start}) for end in ends]
        assert _count_beginnings(lengths, shared, start, ends).tolist() == literal


def test_groups_hold_every_input_once_and_neighbours_together() -> None:
    """Room for 24 positions at 4 tokens: at most 12 inputs together, so 20 are 10 and 10."""
    rows = [(at % 3, *range(2 + at % 2)) for at in range(20)]
    groups = list(group_rows(rows, lambda length: 24))
    assert sorted(at for group in groups for at in group) == list(range(20))
    assert [len(group) for group in groups] == [10, 10]
    assert max(rows[at] for at in groups[0]) <= min(rows[at] for at in groups[1])
    assert list(group_rows([], lambda length: 24)) == []
