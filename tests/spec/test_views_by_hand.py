"""Rollout, flow and gradient-weighted attention on two layers and two tokens, and slopes held against small steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from toy.planted import NEGATIVE, PRIMARY, make_induction
from toy.prompts import tokenise_letters

from audit_core.attention.view_table import GRADIENT_HEADS, read_views
from audit_core.component import edge
from audit_core.engine.pattern_gradients import read_attention_records
from audit_core.intervention import CLEAN_RUN, Edit, Intervention, Replacement
from audit_core.prompts.alignment import tokenise
from audit_core.registry import get_plugin
from audit_core.subjects.transformer import TransformerSubject
from audit_core.view import AttentionRecord, weigh_gradients
from audit_core.views.rollout import roll_out

LOWER, UPPER = 0.6, 0.2
"""What the second token gives the first, below and above."""


def two_layers(gradients: tuple[tuple[float, float], tuple[float, float]] | None = None) -> AttentionRecord:
    """One head a layer; the first token sees itself alone, so that only the second token's rows are free."""
    patterns = np.array([[[[1, 0], [share, 1 - share]]] for share in (LOWER, UPPER)], np.float32)
    if gradients is None:
        return AttentionRecord(patterns, None)
    return AttentionRecord(patterns, np.array([[[[0, 0], list(row)]] for row in gradients], np.float32))


def read(key: str, looks: AttentionRecord) -> list[float]:
    return [float(value) for value in get_plugin("views", key).read(looks)]


def test_raw_attention_is_the_last_row_of_the_last_layer() -> None:
    assert read("raw_attention", two_layers()) == pytest.approx([0.2, 0.8])


def test_rollout_multiplies_half_attention_half_residual() -> None:
    """Halved, the second row is (0.3, 0.7) below and (0.1, 0.9) above. First token: 0.1 · 1 + 0.9 · 0.3 = 0.37;
    second: 0.9 · 0.7 = 0.63."""
    assert read("rollout", two_layers()) == pytest.approx([0.37, 0.63])


def test_every_row_of_a_rollout_sums_to_one(load_family: Callable[[str], Any]) -> None:
    subject = load_family("llama")
    pair = tokenise_letters(subject.tokenizer, (8,)).pairs[0]
    rolled = roll_out(subject.patterns(pair, CLEAN_RUN))
    np.testing.assert_allclose(rolled.sum(1), 1, atol=1e-5)
    assert np.abs(rolled - np.eye(9)).max() > 0.1, "the positive control: it is not the identity, which sums to one too"


def test_flow_is_what_the_narrowest_pipes_let_through() -> None:
    """First token: along itself 1 and then 0.1 into the answer, and over the second token 0.3 and then at most 0.9: 0.4.
    Second token: 0.7 and then at most 0.9: 0.7."""
    assert read("flow", two_layers()) == pytest.approx([0.4, 0.7], abs=2e-6)


def test_gradient_weighted_attention_keeps_what_raises_the_answer() -> None:
    """∇A ⊙ A below: (5 · 0.6, −2 · 0.4) = (3, −0.8), kept (3, 0); above (1 · 0.2, 1 · 0.8). R below = (3, 1); above adds
    0.2 · (1, 0) + 0.8 · (3, 1): (3 + 0.2 + 2.4, 1 + 0.8) = (5.6, 1.8)."""
    looks = two_layers(((5, -2), (1, 1)))
    assert read("gradient_attention", looks) == pytest.approx([5.6, 1.8])
    np.testing.assert_allclose(weigh_gradients(looks), [[2.2], [1.0]], atol=1e-6)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox"])
def test_the_gradient_of_a_weight_is_what_a_small_step_of_it_changes(
    family: str, load_family: Callable[[str], Any]
) -> None:
    """Scaling one edge by 1 ± ε moves the logit difference by ± ε · weight · slope, to first order."""
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (7, 7))
    step = 0.01
    places = [(0, 1, 7, 2), (1, 0, 5, 3), (1, 3, 7, 7), (2, 2, 7, 4)]
    for at, looks in read_attention_records(subject, prompts, with_gradients=True):
        assert looks.gradients is not None
        one = prompts.take([at])
        asked = [
            Intervention((Edit(edge(*place), Replacement.SCALE, 1 + sign * step),))
            for place in places
            for sign in (1, -1)
        ]
        said = subject.run(one, asked)
        change = (said.answer - said.foil)[:, 0].reshape(-1, 2)
        measured = (change[:, 0] - change[:, 1]) / (2 * step)
        expected = [float(looks.gradients[place] * looks.patterns[place]) for place in places]
        np.testing.assert_allclose(measured, expected, rtol=0.03, atol=5e-4)
        assert np.abs(expected).max() > 0.01, "the positive control: some weight matters"


def test_planted_heads_have_the_gradient_of_what_they_write(planted: TransformerSubject) -> None:
    """Methods 2.17: the weight on the match is 1 and its slope what the head writes there: 10 and −3, 0 for decoys; the
    previous-token head and the backup act through a saturated softmax and show nothing."""
    prompts = tokenise(make_induction(4, change="query"), planted.tokenizer)
    table = read_views(planted, prompts, on_progress=lambda *_: None)
    scores = table.heads[GRADIENT_HEADS].mean(2)
    assert scores[1] == pytest.approx([PRIMARY, 0, 0, NEGATIVE], abs=0.05)
    assert scores[0, [0, 2]] == pytest.approx([0, 0], abs=0.05)
    assert scores[2] == pytest.approx([0, 0, 0, 0], abs=0.05)
    for pair, relevance in zip(prompts.pairs, table.tokens["gradient_attention"], strict=True):
        assert relevance[:-1].argmax() == pair.clean_ids.index(pair.answer_id)
        assert relevance[:-1].max() == pytest.approx(PRIMARY / 4, abs=0.05)
    assert set(table.tokens) == {"raw_attention", "rollout", "flow", "gradient_attention"}
    assert table.of_patterns == {
        "raw_attention", "rollout", "flow", "attention mass on the answer token",
        "attention mass on the first changed token",
    }  # fmt: skip
    assert not table.missing


def test_a_model_that_runs_only_as_a_whole_has_its_patterns_and_says_what_is_missing(
    load_family: Callable[[str], Any],
) -> None:
    subject = load_family("granite")
    prompts = tokenise_letters(subject.tokenizer, (7, 6))
    table = read_views(subject, prompts, on_progress=lambda *_: None)
    assert set(table.tokens) == {"raw_attention", "rollout", "flow"}
    assert any("gradients" in text for text in table.missing)
    assert [len(row) for row in table.tokens["flow"]] == [8, 7]
