"""Work that is spared: positions before an edit can matter, and unedited runs of prompts lately drawn."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from toy.models import FAMILIES
from toy.prompts import tokenise_letters

from audit_core.component import head
from audit_core.engine.runner import CAPTURES_KEPT
from audit_core.intervention import Replacement, intervene
from audit_core.prompts import TokenisedPrompts
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]


@pytest.mark.parametrize("family", FAMILIES)
def test_positions_before_an_edit_can_matter_are_not_run_again(family: str, load_family: Load) -> None:
    """Were kept keys and values wrong, the check at loading would give them up: every number right, and all work done.

    Of four prompts of ten tokens: all positions for zeros, the last alone for an edit there, and for the other run's
    activations those from the first token on that differs in any of them.
    """
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, [9] * 4)
    differs = min(pair.first_changed for pair in prompts.pairs)
    assert differs > 0
    for part, replacement, captured, run in (
        (head(0, 0), Replacement.ZERO, 10, 10),
        (head(0, 0, -1), Replacement.ZERO, 10, 1),
        (head(0, 0), Replacement.IDENTITY, 10, 10),
        (head(0, 0), Replacement.RESAMPLE, 20, 10 - differs),
        (head(1, 0), Replacement.RESAMPLE, 20, (10 - differs) * (1 - 1 / subject.geometry.n_layers)),
    ):
        expected = 4 * subject.geometry.n_layers * (captured + run)
        assert subject.count_work(prompts, [intervene([part], replacement)]) == pytest.approx(expected)


def test_the_unedited_run_of_a_prompt_is_kept_until_it_is_forgotten_or_others_came(load_family: Load) -> None:
    """An edit in the second layer enters after the first block, which then runs for unedited prompts alone."""
    subject = load_family("gpt2")
    prompts = tokenise_letters(subject.tokenizer, [7] * (CAPTURES_KEPT + 1))
    each = [TokenisedPrompts("one", (pair,), "") for pair in prompts.pairs]
    calls: list[int] = []

    def ask(one: TokenisedPrompts) -> int:
        calls.clear()
        subject.run(one, [intervene([head(1, 0)], Replacement.ZERO)])
        return len(calls)

    ask(each[0])
    handle = subject.bridge.blocks[0].register_forward_hook(lambda *_: calls.append(1))
    try:
        assert ask(each[0]) == 0
        subject.runner.forget_captures()
        assert [ask(one) for one in each] == [1] * len(each)
        assert [ask(each[-1]), ask(each[0])] == [0, 1]
    finally:
        handle.remove()
