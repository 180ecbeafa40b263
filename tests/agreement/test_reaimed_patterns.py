"""Patterns spread evenly or dealt to other keys: against a slow loop, and what must hold of every row of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from agreement.literal import LiteralRunner
from toy.models import FAMILIES
from toy.prompts import tokenise_letters

from audit_core.component import Component, Kind, head, mlp
from audit_core.errors import InterventionRefused
from audit_core.intervention import CLEAN_RUN, PATTERN_ABLATIONS, Edit, Intervention, PromptSide, Replacement, intervene
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]
PATTERN = Component(1, Kind.PATTERN, 2)


@pytest.mark.parametrize("replacement", PATTERN_ABLATIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_reaimed_pattern_is_that_of_a_slow_loop_and_so_are_the_logits(
    family: str, replacement: Replacement, load_family: Load
) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (8, 6, 8, 8))
    parts = (PATTERN, Component(1, Kind.PATTERN, 0, -1), Component(0, Kind.PATTERN, 3, 4))
    asked = [Intervention((Edit(part, replacement),), side) for part in parts for side in PromptSide]
    asked.append(Intervention(tuple(Edit(part, replacement) for part in parts)))
    literal = LiteralRunner(subject.bridge)
    for intervention in asked:
        drawn = subject.patterns(prompts.pairs[1], intervention)
        np.testing.assert_allclose(drawn, literal.draw(prompts.pairs[1], intervention), atol=1e-5)
        np.testing.assert_allclose(drawn.sum(-1), 1, atol=1e-5)
        assert (np.triu(drawn, 1) == 0).all()
    fast = subject.run(prompts, asked, vocabulary=True)
    # Whole passes for both sides of a part on the first two prompts, of the next part on the other two.
    for turn, checked in enumerate(((0, 1), (2, 3))):
        rows = [row for row in range(len(asked)) if row // 2 % 2 == turn]
        slow = literal.run(prompts.take(checked), [asked[row] for row in rows])
        found = fast.vocabulary[np.ix_(rows, checked)]
        np.testing.assert_allclose(found, slow, rtol=0, atol=1e-4 * np.abs(slow).max())
    assert fast.edits_applied == sum(len(i.edits) for i in asked) * len(prompts)
    plain = subject.run(prompts, [CLEAN_RUN], vocabulary=True).vocabulary
    assert np.abs(fast.vocabulary[0] - plain[0]).max() > 1e-3, "the positive control: it does change something"


def test_the_first_token_keeps_its_weight_and_the_rest_is_even_or_the_same_weights_elsewhere(load_family: Load) -> None:
    subject = load_family("llama")
    pair = tokenise_letters(subject.tokenizer, (8,)).pairs[0]
    before = subject.patterns(pair, CLEAN_RUN)[1, 2]
    even, dealt = (subject.patterns(pair, intervene([PATTERN], way))[1, 2] for way in PATTERN_ABLATIONS)
    np.testing.assert_allclose(even[:, 0], before[:, 0], atol=1e-6)
    np.testing.assert_allclose(dealt[:, 0], before[:, 0], atol=1e-6)
    for query in range(2, 9):
        np.testing.assert_allclose(even[query, 1 : query + 1], (1 - before[query, 0]) / query, atol=1e-6)
        np.testing.assert_allclose(np.sort(dealt[query]), np.sort(before[query]), atol=1e-6)
    assert np.abs(dealt - before).max() > 1e-2


def test_a_window_is_kept(load_family: Load) -> None:
    """Mistral sees five keys here: the fifth before the last is as dark afterwards as before."""
    subject = load_family("mistral")
    pair = tokenise_letters(subject.tokenizer, (8,)).pairs[0]
    even = subject.patterns(pair, intervene([PATTERN], Replacement.UNIFORM))[1, 2, -1]
    np.testing.assert_allclose(even, [0, 0, 0, 0, 0.2, 0.2, 0.2, 0.2, 0.2], atol=1e-6)


def test_a_shuffle_is_that_of_its_seed_and_of_the_prompt_whatever_is_run_beside_it(load_family: Load) -> None:
    subject = load_family("gpt2")
    prompts = tokenise_letters(subject.tokenizer, (8, 8, 8))
    asked = intervene([PATTERN], Replacement.PERMUTED)
    together = subject.run(prompts, [asked, asked], seed=3).answer
    alone = [subject.run(prompts.take([at]), [asked], seed=3).answer[0, 0] for at in range(3)]
    np.testing.assert_allclose(together[0], alone, atol=1e-4)
    np.testing.assert_allclose(together[0], together[1], atol=1e-4)
    other = subject.run(prompts, [asked], seed=4).answer[0]
    assert np.abs(other - together[0]).max() > 1e-3


@pytest.mark.parametrize("replacement", PATTERN_ABLATIONS)
@pytest.mark.parametrize("part", [head(1, 0), mlp(1), Component(1, Kind.QUERY, 0), Component(1, Kind.EDGE, 0, 3, 1)])
def test_nothing_but_a_pattern_can_be_reaimed(part: Component, replacement: Replacement) -> None:
    with pytest.raises(InterventionRefused, match="attention pattern such as"):
        intervene([part], replacement)


def test_how_far_a_pattern_is_moved_can_be_asked(load_family: Load) -> None:
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, (8, 8))
    for way in PATTERN_ABLATIONS:
        assert float(subject.activation_change_rms(prompts, [PATTERN], way)[0]) > 1e-2
