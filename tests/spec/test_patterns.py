"""Attention under an intervention: rows are shares where nothing was edited, and the edit is seen where something was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from agreement.literal import LiteralRunner
from toy.models import FAMILIES
from toy.planted import make_induction
from toy.prompts import tokenise_letters

from audit_core.component import edge, head, mlp, resid
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Direction, Replacement, intervene
from audit_core.prompts.alignment import tokenise
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_sum_to_one_and_look_at_nothing_to_come(family: str, load_family: Load) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (8, 8))
    pair = prompts.pairs[0]
    for asked in (CLEAN_RUN, CORRUPTED_RUN, intervene([head(0, 0), mlp(1)], Replacement.RESAMPLE)):
        drawn = subject.patterns(pair, asked)
        assert drawn.shape == (subject.geometry.n_layers, 4, 9, 9)
        np.testing.assert_allclose(drawn.sum(-1), 1, atol=1e-5)
        assert (np.triu(drawn, 1) == 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_patterns_are_those_of_a_whole_forward_pass(family: str, load_family: Load) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (8, 8, 8, 8))
    literal, means = LiteralRunner(subject.bridge, prompts), subject.capture_means(prompts)
    for asked in (
        intervene([head(0, 2), resid(1, -2)], Replacement.MEAN),
        intervene([mlp(0), edge(1, 1, 8, 3)], Replacement.ZERO),
        intervene([head(0, 1), head(1, 3)], Replacement.RESAMPLE, direction=Direction.DENOISING),
        # Layers before the edit are the corrupted run's own.
        intervene([head(1, 3)], Replacement.RESAMPLE, direction=Direction.DENOISING),
    ):
        drawn = subject.patterns(prompts.pairs[1], asked, means=means)
        np.testing.assert_allclose(drawn, literal.draw(prompts.pairs[1], asked), atol=1e-5)


def test_a_removed_edge_is_seen_as_zero_and_its_row_keeps_only_what_is_left(load_family: Load) -> None:
    subject = load_family("llama")
    pair = tokenise_letters(subject.tokenizer, (8,)).pairs[0]
    before = subject.patterns(pair, CLEAN_RUN)
    after = subject.patterns(pair, intervene([edge(1, 2, 8, 5)], Replacement.ZERO))
    assert before[1, 2, 8, 5] > 0
    assert after[1, 2, 8, 5] == 0
    assert after[1, 2, 8].sum() == pytest.approx(1 - before[1, 2, 8, 5], abs=1e-6)
    rest = np.ones_like(before[1], dtype=bool)
    rest[2, 8, 5] = False
    np.testing.assert_allclose(after[1][rest], before[1][rest], atol=1e-5)
    np.testing.assert_allclose(after[2].sum(-1), 1, atol=1e-5)


def test_layers_before_the_edit_are_untouched_and_layers_after_it_answer_to_it(load_family: Load) -> None:
    subject = load_family("gemma3")
    pair = tokenise_letters(subject.tokenizer, (8,)).pairs[0]
    before = subject.patterns(pair, CLEAN_RUN)
    after = subject.patterns(pair, intervene([head(1, 0)], Replacement.ZERO))
    assert (after[:2] == before[:2]).all()
    assert np.abs(after[2] - before[2]).max() > 1e-3


def test_the_backup_looks_only_once_the_primary_head_is_gone(planted: TransformerSubject) -> None:
    """With the flag up the backup rests on the first token; without it, it looks after the match, as L1H0 does."""
    pair = tokenise(make_induction(1, change="query"), planted.tokenizer).pairs[0]
    source = pair.clean_ids.index(pair.answer_id)
    before = planted.patterns(pair, CLEAN_RUN)
    after = planted.patterns(pair, intervene([head(1, 0)], Replacement.ZERO))
    assert before[1, 0, -1, source] == pytest.approx(1, abs=1e-3)
    assert (before[2, 0, -1, 0], before[2, 0, -1, source]) == pytest.approx((1, 0), abs=1e-3)
    assert after[2, 0, -1, source] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_from_the_answer_position_is_the_last_row_of_the_clean_pattern(
    family: str, load_family: Load
) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (6, 9, 6))
    for rows, pair in zip(subject.attention_to_last(prompts), prompts.pairs, strict=True):
        np.testing.assert_allclose(rows, subject.patterns(pair, CLEAN_RUN)[:, :, -1], atol=1e-5)
