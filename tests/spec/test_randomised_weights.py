"""A model with shuffled weights is another model: what lies below the first shuffled layer, and the shared one, stay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from toy.models import AS_A_WHOLE, BY_BLOCKS
from toy.planted import CLEAN_LOGIT, make_induction
from toy.prompts import tokenise_letters

from audit_core.errors import ModelRefused
from audit_core.intervention import CLEAN_RUN
from audit_core.prompts.alignment import tokenise
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]


@pytest.mark.parametrize("family", (*BY_BLOCKS, *AS_A_WHOLE))
def test_patterns_up_to_the_first_shuffled_layer_stay_and_everything_behind_moves(
    family: str, load_family: Load
) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (8, 8))
    pair = prompts.pairs[0]
    before, said = subject.patterns(pair, CLEAN_RUN), subject.run(prompts, [CLEAN_RUN], vocabulary=True).vocabulary
    other = subject.randomised(1, seed=0)
    after = other.patterns(pair, CLEAN_RUN)
    np.testing.assert_allclose(after[:2], before[:2], atol=1e-6)
    assert np.abs(after[2] - before[2]).max() > 1e-3
    assert np.abs(other.run(prompts, [CLEAN_RUN], vocabulary=True).vocabulary - said).max() > 1e-2
    assert (subject.run(prompts, [CLEAN_RUN], vocabulary=True).vocabulary == said).all(), (
        "the shared model is untouched"
    )
    assert other.identity.short != subject.identity.short
    assert "shuffled from layer 1 up, seed 0" in other.identity.model


def test_every_matrix_keeps_its_numbers_and_the_seed_decides_their_order(load_family: Load) -> None:
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, (8,))
    parts = [subject.randomised(2, seed=seed) for seed in (0, 0, 1)]
    one, same, other = (part.run(prompts, [CLEAN_RUN], vocabulary=True).vocabulary for part in parts)
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-2
    own, shuffled = (dict(s.bridge.original_model.named_parameters()) for s in (subject, parts[0]))
    moved = {
        name.split(".")[-2] if "lm_head" not in name else "lm_head"
        for name in own
        if (own[name] != shuffled[name]).any()
    }
    assert len([name for name in own if (own[name] != shuffled[name]).any()]) == 6, moved
    for name, weights in own.items():
        assert (weights.flatten().sort().values == shuffled[name].flatten().sort().values).all(), name


def test_the_planted_answer_collapses_and_its_attention_does_not_move(planted: TransformerSubject) -> None:
    """T15. The primary head looks at the answer by its queries and keys, which stay; what it writes there is shuffled."""
    prompts = tokenise(make_induction(8, change="query"), planted.tokenizer)
    other = planted.randomised(1, seed=0)
    for pair in prompts.pairs:
        before, after = planted.patterns(pair, CLEAN_RUN), other.patterns(pair, CLEAN_RUN)
        np.testing.assert_allclose(after[:2], before[:2], atol=1e-6)
    said = [s.run(prompts, [CLEAN_RUN]) for s in (planted, other)]
    clean, shuffled = ((found.answer - found.foil)[0] for found in said)
    assert clean.mean() == pytest.approx(CLEAN_LOGIT, abs=0.05)
    assert abs(shuffled.mean()) < 0.5 * CLEAN_LOGIT


def test_a_layer_that_is_not_there_is_refused(planted: TransformerSubject) -> None:
    with pytest.raises(ModelRefused, match="0 to 2"):
        planted.randomised(3, seed=0)
