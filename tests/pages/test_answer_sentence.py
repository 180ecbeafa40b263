"""The answer sentence of the live audit: its verb, its numbers and its interval agree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audit_core import Direction, Estimate, Replacement, head
from audit_core.audits import AblationResult
from tests.pages.test_choice import choice  # noqa: F401
from ui.flow.choice import Choice
from ui.live.answer import Asked, describe_answer

UNIT = "logits"


def one(value: float) -> Estimate:
    return Estimate(value, None, None, 1, UNIT, 0.95)


def make_result(clean: Estimate, after: Estimate, support: Estimate, n: int = 1) -> AblationResult:
    template = dict.fromkeys(AblationResult.__dataclass_fields__, None)
    known = {
        "components": ("L1.H1",),
        "clean": clean,
        "corrupted": one(-3.0),
        "after": after,
        "support": support,
        "n": n,
        "unit": UNIT,
    }
    return AblationResult(**(template | known))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (-0.86, "lowers the preference for {} from +5.29 to −0.86 logits."),
        (7.1, "raises the preference for {} from +5.29 to +7.10 logits."),
        (5.291, "leaves the preference for {} at +5.29 logits."),
    ],
)
def test_the_verb_says_which_way_the_preference_went(choice: Choice, after: float, said: str) -> None:  # noqa: F811
    prompt = choice.prompts.pairs[0].prompt
    chosen = replace(choice, prompts=replace(choice.prompts, pairs=choice.prompts.pairs[:1]))
    text = describe_answer(make_result(one(5.29), one(after), one(5.29 - after)), Asked.of(chosen))
    assert text == "Replacing L1.H1 " + said.format(f"“{prompt.answer.strip()}” over “{prompt.foil.strip()}”")


def test_a_change_whose_interval_holds_zero_is_no_measurable_change(choice: Choice) -> None:  # noqa: F811
    support = Estimate(0.1, -0.05, 0.25, 40, UNIT, 0.95)
    found = describe_answer(make_result(one(5.0), one(4.9), support, n=40), Asked.of(choice))
    assert "changes the mean preference for the answer over the foil by no measurable amount" in found
    assert "interval of the change −0.05 to +0.25" in found


def test_a_change_of_a_set_has_its_interval_without_a_sign_that_the_verb_has(choice: Choice) -> None:  # noqa: F811
    support = Estimate(-1.2, -1.5, -0.9, 40, UNIT, 0.95)
    found = describe_answer(make_result(one(5.0), one(6.2), support, n=40), Asked.of(choice))
    assert found.endswith(
        "raises the mean preference for the answer over the foil from +5.00 to +6.20 logits, by 1.20 logits [0.90, 1.50]."
    )


def test_each_replacement_and_direction_is_named(choice: Choice) -> None:  # noqa: F811
    result = make_result(one(5.0), one(2.0), one(3.0))
    zero = replace(choice, replacement=Replacement.ZERO)
    assert describe_answer(result, Asked.of(zero)).startswith("Setting L1.H1 to zero lowers")
    doubled = replace(choice, replacement=Replacement.SCALE, factor=2.0)
    assert describe_answer(result, Asked.of(doubled)).startswith("Multiplying L1.H1 by 2 lowers")
    restored = replace(choice, direction=Direction.DENOISING)
    assert describe_answer(result, Asked.of(restored)).startswith("Restoring L1.H1 in the corrupted run raises")
    many = replace(result, components=tuple(str(head(0, i)) for i in range(9)))
    assert describe_answer(many, Asked.of(choice)).startswith("Replacing L0.H0, L0.H1, L0.H2, L0.H3 and 5 more lowers")
