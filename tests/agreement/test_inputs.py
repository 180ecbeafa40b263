"""Inputs that begin alike: equal to running each by itself, whether or not what they share is computed once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from audit_core import open_subject
from audit_core.engine import input_tree

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
@pytest.mark.parametrize("pass_tokens", [0, 48])
def test_every_input_gives_the_logits_of_the_whole_model_alone(
    name: str, shares: bool, pass_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs part and end at every place: cut there where passes cost nothing, padded where they do."""
    monkeypatch.setattr(input_tree, "PASS_TOKENS", pass_tokens)
    monkeypatch.setattr(input_tree, "count_tokens", lambda *_: 80)
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
