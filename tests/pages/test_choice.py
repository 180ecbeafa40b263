"""What may be judged: only what was measured on prompts that nobody used to choose it."""

from dataclasses import replace

import pytest
from toy.additive import AdditiveSubject, pair_up

from audit_core import Direction, Replacement, Source, Universe, head, mlp
from ui.flow.choice import Choice


@pytest.fixture
def choice() -> Choice:
    subject = AdditiveSubject({head(1, 1): 1.0})
    prompts, part = pair_up(subject, 6), head(1, 1)
    return Choice(
        "confirmatory", prompts, replace(prompts, pairs=prompts.pairs[:1]), prompts, (part,), Replacement.RESAMPLE,
        Direction.NOISING, 1.0, Universe.HEADS, Source.ANSWER, part, (), (("a head", part),),
    )  # fmt: skip


def test_a_verdict_is_offered_on_the_confirmatory_half(choice: Choice) -> None:
    assert choice.can_be_judged
    assert choice.ask_verdict().claim.components == (head(1, 1),)


@pytest.mark.parametrize(
    "change",
    [
        {"scope": "exploratory"},
        {"scope": "one"},
        {"components": ()},
        {"components": (head(1, 1, 2),)},
        {"replacement": Replacement.SCALE},
        {"direction": Direction.DENOISING},
    ],
)
def test_and_on_nothing_else(choice: Choice, change: dict[str, object]) -> None:
    assert not replace(choice, **change).can_be_judged  # type: ignore[arg-type]


def test_an_mlp_is_judged_among_heads_and_mlps(choice: Choice) -> None:
    assert replace(choice, components=(mlp(0),)).ask_verdict().claim.universe is Universe.HEADS_MLPS


def test_the_run_without_the_intervention_is_the_one_that_is_edited(choice: Choice) -> None:
    assert choice.unedited.side.value == "clean"
    assert replace(choice, direction=Direction.DENOISING).unedited.side.value == "corrupted"


def test_attentions_tests_are_put_to_named_heads_and_to_some_that_nobody_named(choice: Choice) -> None:
    asked = replace(choice, components=(head(1, 1, 2),), head=head(0, 1), sampled_heads=(head(0, 0), head(1, 1)))
    assert asked.ask_attention_tests().heads == (head(0, 0), head(0, 1), head(1, 1))
