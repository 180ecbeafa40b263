"""Inputs that begin alike: equal to running each by itself, whether or not what they share is computed once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from audit_core import open_subject
from audit_core.engine.inputs import count_shared, group_inputs, plan_inputs

NAMES = ("planted-induction", "planted-reader-grounded")


def draw_inputs(subject: Any) -> list[tuple[int, ...]]:
    """A first input, variants that differ from it at every place, its beginnings, and others of four lengths."""
    draw = np.random.default_rng(0)
    rows = [tuple(map(int, draw.integers(0, subject.geometry.n_vocabulary, n))) for n in (11, 11, 9, 7, 7, 4)]
    first = rows[0]
    changed = [(*first[:at], (first[at] + 1) % subject.geometry.n_vocabulary, *first[at + 1 :]) for at in range(11)]
    return [first, *changed, first[:10], first[:8], *rows[1:]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shares", [True, False])
def test_every_input_gives_the_logits_of_the_whole_model_alone(name: str, shares: bool) -> None:
    subject: Any = open_subject(name)
    rows = draw_inputs(subject)
    subject.runner.shares_prefix, before = shares, subject.runner.shares_prefix
    try:
        found = subject.read_inputs(rows)
    finally:
        subject.runner.shares_prefix = before
    assert before, "otherwise both cases are the same"
    with torch.inference_mode():
        alone = np.stack([subject.bridge.original_model(torch.tensor([row])).logits[0, -1].numpy() for row in rows])
    assert np.abs(found - alone).max() <= subject.tolerance
    assert np.ptp(found, axis=0).max() > 100 * subject.tolerance, "inputs that differ give other logits"


def test_a_wave_starts_no_later_than_any_of_its_inputs_differs() -> None:
    subject = open_subject("planted-induction")
    rows = draw_inputs(subject)[:12]
    wide = replace(subject.geometry, d_model=4096)
    chunks = plan_inputs(rows, wide, can_share_prefix=True)
    assert sorted(at for chunk in chunks for at in chunk.variants) == list(range(1, 12))
    assert all(chunk.start <= count_shared(rows[0], rows[at]) for chunk in chunks for at in chunk.variants)
    assert {chunk.start for chunk in plan_inputs(rows, wide, can_share_prefix=False)} == {0}


def test_the_last_position_is_computed_even_for_an_equal_input() -> None:
    assert count_shared((1, 2, 3), (1, 2, 3)) == 2
    assert count_shared((1, 2, 3), (1, 2, 4)) == 2
    assert count_shared((1, 2, 3), (0, 2, 3)) == 0
    assert count_shared((1, 2, 3), (1, 2)) == count_shared((1, 2), (1, 2, 3)) == 1


def test_lengths_run_together_where_a_pass_costs_more_than_the_padding() -> None:
    wide = replace(open_subject("planted-induction").geometry, d_model=4096)

    def group(rows: list[tuple[int, ...]], *, can_pad: bool = True) -> list[list[int]]:
        return list(group_inputs(rows, wide, can_pad=can_pad, can_share_prefix=True))

    few = [(at, *range(length)) for at, length in enumerate((12, 5, 9, 8, 12, 4))]
    assert group(few) == [[0, 1, 2, 3, 4, 5]]
    assert group(few, can_pad=False) == [[0, 4], [2], [3], [1], [5]]
    # Forty inputs would be padded for the sake of three longer ones.
    many = [(at, *range(55)) for at in range(40)] + [(at, *range(73)) for at in range(3)]
    assert group(many) == [[40, 41, 42], list(range(40))]
    assert sorted(at for one in group([*few, *many]) for at in one) == list(range(49))
