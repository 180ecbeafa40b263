"""Which metric reads the answers of a set, and what an audit without that metric says."""

from __future__ import annotations

import pytest
from toy.additive import WordTokenizer

from audit_core.errors import PromptRefused
from audit_core.prompts import SEQUENCE_METRIC, Prompt, PromptSet, align_rows, choose_metric, tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts, require_distinguished


def align(answers: list[str], foils: list[str]) -> TokenisedPrompts:
    prompt = Prompt("r", "the cat", "the dog", answers[0], foils[0], "t", "", "", "", (*answers[1:],), (*foils[1:],))
    return tokenise(PromptSet("s", (prompt,)), WordTokenizer())


def test_answers_of_one_token_are_read_by_their_logits() -> None:
    assert choose_metric(align([" up"], [" down"])) == "logit_difference"
    assert choose_metric(align([" left up"], [" left down"])) == "logit_difference"


def test_answers_of_several_tokens_are_read_as_whole_sequences() -> None:
    assert choose_metric(align([" up there"], [" down"])) == SEQUENCE_METRIC
    assert choose_metric(align([" up"], [" down there"])) == SEQUENCE_METRIC


def test_an_audit_without_that_metric_names_it_and_does_not_offer_it() -> None:
    pairs = align([" up there"], [" up here", " up now"]).pairs
    assert pairs[0].is_distinguished
    pairs = align([" up there", " down here"], [" up here", " down there"]).pairs
    with pytest.raises(
        PromptRefused, match="need the metric sequence_log_probability, and this audit only has"
    ) as found:
        require_distinguished(pairs, has_choice=False)
    assert "choose the metric" not in str(found.value)
    with pytest.raises(PromptRefused, match="choose the metric"):
        require_distinguished(pairs)


def test_answers_that_begin_differently_over_three_tokens_are_no_fault() -> None:
    pair = Prompt("r", "the cat", "the dog", " paris , france", " rome , italy", "t")
    assert not align_rows(PromptSet("s", (pair,)), WordTokenizer()).faults


def test_equal_answers_of_several_tokens_are_not_called_one_token() -> None:
    pair = Prompt("r", "the cat", "the dog", " paris , france", " paris , france", "t")
    (fault,) = align_rows(PromptSet("s", (pair,)), WordTokenizer()).faults
    assert (fault.text, fault.remedy) == (
        "answer and foil have the same tokens",
        "choose a foil that is wrong for the clean prompt",
    )
