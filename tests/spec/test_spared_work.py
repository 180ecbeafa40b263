"""Work that is spared: positions before an edit can matter, and unedited runs of prompts lately drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from agreement.literal import LiteralRunner
from toy.models import BY_BLOCKS, build_random, load
from toy.prompts import tokenise_letters

from audit_core.component import Kind, head
from audit_core.engine.kept import CAPTURES_KEPT
from audit_core.engine.replay import Prefix
from audit_core.intervention import Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subjects.transformer import TransformerSubject

if TYPE_CHECKING:
    import torch

Load = Callable[[str], TransformerSubject]


@pytest.mark.parametrize("family", BY_BLOCKS)
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


def test_prompts_that_differ_late_are_run_together_at_any_place_in_the_set(load_family: Load) -> None:
    """One early difference among late ones would make every prompt beside it run from there on."""
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, [9] * 60)
    lined_up = replace(prompts, pairs=tuple(sorted(prompts.pairs, key=lambda pair: pair.first_changed)))
    assert lined_up.pairs != prompts.pairs
    asked = [intervene([part], Replacement.RESAMPLE) for part in subject.components(Kind.HEAD)]
    assert subject.count_work(prompts, asked) == subject.count_work(lined_up, asked)


def doubled(keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return 2 * keys, 2 * values


def refused(keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    raise AttributeError("this cache keeps more than keys and values")


@pytest.mark.parametrize("kept", [doubled, refused])
def test_where_earlier_positions_cannot_be_put_back_all_are_run_and_numbers_stay_right(
    kept: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An architecture whose cache means something else: found out at loading, where it costs time and no number."""
    folder = build_random("llama", tmp_path)
    honest = Prefix.update
    monkeypatch.setattr(Prefix, "update", lambda self, *new, **_: kept(*honest(self, *new)))
    subject = load(folder)
    prompts = tokenise_letters(subject.tokenizer, [9] * 2)
    asked = [intervene([head(1, 2, -1)], Replacement.RESAMPLE)]
    found = subject.run(prompts, asked, vocabulary=True).vocabulary
    np.testing.assert_allclose(found, LiteralRunner(subject.bridge).run(prompts, asked), atol=1e-4)
    everywhere = [intervene([head(1, 2)], Replacement.RESAMPLE)]
    assert subject.count_work(prompts, asked) == subject.count_work(prompts, everywhere)


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
        subject.runner.clear_captures()
        assert [ask(one) for one in each] == [1] * len(each)
        assert [ask(each[-1]), ask(each[0])] == [0, 1]
    finally:
        handle.remove()
