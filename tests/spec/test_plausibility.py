"""Where a model looks: source tokens, mass on them, and spread; values by hand."""

from __future__ import annotations

import numpy as np
import pytest
from toy.additive import AdditiveSubject, pair_up

from audit_core.attention.plausibility import Source, find_source, list_sources, normalised_entropy, weigh_source
from audit_core.errors import NotMeasured
from audit_core.prompts.prompt_set import TokenisedPrompts

TEXTS = (("x yes b no", "x yes c no"), ("y a yes no", "z a yes no"))
"""With the first token: answer ` yes` at 2 and 3, foil ` no` at 4, the first change at 3 and 1."""


def prompts(*texts: tuple[str, str]) -> TokenisedPrompts:
    return pair_up(AdditiveSubject({}), texts=texts or TEXTS)


@pytest.mark.parametrize(
    "source, expected",
    [
        (Source.ANSWER, (2, 3)),
        (Source.FOIL, (4, 4)),
        (Source.CHANGED, (3, 1)),
        (Source.FIRST, (0, 0)),
        (Source.LAST, (4, 4)),
    ],
)
def test_each_source_is_found_at_its_position(source: Source, expected: tuple[int, ...]) -> None:
    assert tuple(find_source(pair, source) for pair in prompts().pairs) == expected


def test_the_first_of_several_occurrences_is_the_source() -> None:
    assert find_source(prompts(("x yes yes", "y yes yes")).pairs[0], Source.ANSWER) == 2


def test_a_token_that_is_not_in_the_prompt_cannot_be_looked_at() -> None:
    found = prompts(("x yes b", "x yes c"))
    with pytest.raises(NotMeasured, match="does not contain ' no'; choose another source") as caught:
        weigh_source([np.ones((1, 1, 4), np.float32)], found, Source.FOIL)
    assert caught.value.reason == "no_source"
    assert Source.FOIL not in list_sources(found)
    assert list_sources(prompts()) == tuple(Source)


def test_mass_is_the_weight_on_the_source_of_each_prompt() -> None:
    """One head: 0.2, 0.1, 0.4, 0.2, 0.1 on prompt 0 whose answer is at 2; reversed on prompt 1, whose answer is at 3."""
    rows = np.array([[[0.2, 0.1, 0.4, 0.2, 0.1]]], np.float32)
    found = weigh_source([rows, rows[:, :, ::-1]], prompts(), Source.ANSWER)
    np.testing.assert_allclose(found.mass, [[[0.4, 0.1]]])
    assert found.positions == (2, 3)
    with pytest.raises(ValueError, match="read-only"):
        found.mass[...] = 0


@pytest.mark.parametrize(
    "row, expected",
    [
        ([1, 0, 0, 0], 0),
        ([0.25] * 4, 1),
        ([0.5, 0.5, 0, 0], 0.5),
        ([0.5, 0.25, 0.125, 0.125], 0.875),
        ([1], 0),
    ],
)
def test_entropy_is_zero_on_one_token_and_one_when_even(row: list[float], expected: float) -> None:
    """(½·1 + ¼·2 + 2·⅛·3) bits = 1.75 of the 2 that four keys allow: 0.875. One key leaves no choice: 0, not 0/0."""
    assert normalised_entropy(np.array(row, np.float32)) == pytest.approx(expected, abs=1e-6)


def test_entropy_of_many_rows_keeps_their_shape() -> None:
    assert normalised_entropy(np.full((2, 3, 4), 0.25, np.float32)).shape == (2, 3)
