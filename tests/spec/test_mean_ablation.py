"""A mean is over reference prompts and both runs of each, at one position: values worked out by hand."""

import numpy as np
import pytest
from toy.planted import make_votes

from audit_core.component import Kind, head
from audit_core.errors import InterventionRefused
from audit_core.intervention import Replacement, intervene
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import PromptSet, TokenisedPrompts
from audit_core.subjects.transformer import TransformerSubject

PAIRS = (("AAB", "ABB"), ("AAA", "BBA"))
"""Of `bos v v v =` the voting head writes 20 · (share of A − share of B) at the end: clean 4 and 12, corrupted −4 and −4."""


def mean_difference(
    subject: TransformerSubject, prompts: TokenisedPrompts, reference: TokenisedPrompts, replacement: Replacement
) -> np.ndarray:
    logits = subject.run(prompts, [intervene([head(0, 1)], replacement)], means=subject.capture_means(reference))
    return (logits.answer - logits.foil)[0]


def test_the_mean_of_a_head_is_over_prompts_and_sides_at_each_position(planted: TransformerSubject) -> None:
    """Share of A among the tokens so far, averaged over AAB, ABB, AAA, BBA at positions 0 to 4:
    0; (1/2 + 1/2 + 1/2 + 0)/4 = 3/8; (2/3 + 1/3 + 2/3 + 0)/4 = 5/12; (2/4 + 1/4 + 3/4 + 1/4)/4 = 7/16;
    (2/5 + 1/5 + 3/5 + 1/5)/4 = 7/20."""
    means = planted.capture_means(tokenise(make_votes(*PAIRS), planted.tokenizer))
    assert means.n_prompts[5, ""] == 2
    shares_of_a = means.activations[5, ""][Kind.HEAD][0, :, 1, 0]
    np.testing.assert_allclose(shares_of_a, [0, 3 / 8, 5 / 12, 7 / 16, 7 / 20], atol=1e-4)


def test_mean_ablation_of_the_vote_leaves_the_average_vote(planted: TransformerSubject) -> None:
    """20 · (7/20 − 5/20) = 2 on every prompt. Over clean runs alone it would be 8; over positions as well 2.57."""
    prompts = tokenise(make_votes(*PAIRS), planted.tokenizer)
    np.testing.assert_allclose(mean_difference(planted, prompts, prompts, Replacement.MEAN), [2, 2], atol=2e-3)


def test_a_template_mean_is_over_its_own_prompts(planted: TransformerSubject) -> None:
    """Template t0 holds AAB/ABB and AAA/BBA: 2 as above. Template t1 holds ABA/BBB and AAA/BAB:
    share of A (2 + 0 + 3 + 1)/4/5 = 6/20, of B (1 + 3 + 0 + 2)/4/5 = 6/20: 0. Over both: 20 · (13/40 − 11/40) = 1."""
    votes = make_votes(PAIRS[0], ("ABA", "BBB"), PAIRS[1], ("AAA", "BAB"), n_templates=2)
    prompts = tokenise(votes, planted.tokenizer)
    own = mean_difference(planted, prompts, prompts, Replacement.MEAN_TEMPLATE)
    np.testing.assert_allclose(own, [2, 0, 2, 0], atol=2e-3)
    np.testing.assert_allclose(mean_difference(planted, prompts, prompts, Replacement.MEAN), [1] * 4, atol=2e-3)


def test_prompts_of_another_length_have_a_mean_of_their_own(planted: TransformerSubject) -> None:
    """Two prompts of five votes, AAAAA/BBBBB and AAAAB/BBBBA: share of A (5 + 0 + 4 + 1)/4/7, of B the same: 0."""
    votes = make_votes(PAIRS[0], ("AAAAA", "BBBBB"), PAIRS[1], ("AAAAB", "BBBBA"))
    prompts = tokenise(votes, planted.tokenizer)
    np.testing.assert_allclose(mean_difference(planted, prompts, prompts, Replacement.MEAN), [2, 0, 2, 0], atol=2e-3)


def test_reference_prompts_need_not_be_the_prompts_measured(planted: TransformerSubject) -> None:
    """Reference ABA/BBB and AAA/BAB: the mean vote is 0, whatever is measured."""
    prompts = tokenise(make_votes(*PAIRS), planted.tokenizer)
    reference = tokenise(make_votes(("ABA", "BBB"), ("AAA", "BAB")), planted.tokenizer)
    np.testing.assert_allclose(mean_difference(planted, prompts, reference, Replacement.MEAN), [0, 0], atol=2e-3)


@pytest.mark.parametrize("replacement", [Replacement.MEAN, Replacement.MEAN_TEMPLATE])
def test_a_mean_of_fewer_than_two_prompts_is_refused(planted: TransformerSubject, replacement: Replacement) -> None:
    """One prompt's mean over itself is not an ablation: half of it is the run it is put into."""
    votes = make_votes(*PAIRS)
    alone = tokenise(PromptSet("one", votes.prompts[:1]), planted.tokenizer)
    with pytest.raises(InterventionRefused, match="at least two reference prompts.*resample or zero"):
        mean_difference(planted, alone, alone, replacement)
    other_length = tokenise(make_votes(("AAAAA", "BBBBB"), ("AAAAB", "BBBBA")), planted.tokenizer)
    with pytest.raises(InterventionRefused, match="of 5 tokens"):
        mean_difference(planted, alone, other_length, replacement)


def test_a_mean_without_reference_is_refused(planted: TransformerSubject) -> None:
    prompts = tokenise(make_votes(*PAIRS), planted.tokenizer)
    with pytest.raises(InterventionRefused, match="No mean"):
        planted.run(prompts, [intervene([head(0, 1)], Replacement.MEAN)])
