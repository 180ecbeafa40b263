"""Classes of units: which class a unit has, its share of the scores, and the loss when all of a class are replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from audit_core.explanations import InputValues, Scores, Task, UnitClass, UnitKind, make_task, replace_units
from audit_core.explanations.classes import classify_units, measure_classes, share_scores
from audit_core.explanations.units import Unit
from audit_core.prompts.alignment import tokenise
from audit_core.subjects.planted import find_planted


@pytest.fixture(scope="module")
def vote(load_planted: Callable[[str], Any]) -> Task:
    model, subject = find_planted("planted-strict"), load_planted("planted-strict")
    assert model is not None
    prompts = tokenise(model.find_task("vote").make(2, 0), subject.tokenizer)
    return make_task(subject, prompts.take((0, 4)), prompts, UnitKind.TOKENS, seed=0)


def test_the_first_rule_that_fits_gives_the_class() -> None:
    texts = ("12", " Ann", ",", " a1", " ann", " Ann", " Ann", " ,")
    found = classify_units([Unit(text, (at,)) for at, text in enumerate(texts)])
    assert [each.name for each in found] == [
        "FIRST", "CAPITALISED", "SIGN", "NUMBER", "OTHER", "REPEATED", "REPEATED", "LAST",
    ]  # fmt: skip


def test_a_class_gets_its_share_of_the_absolute_scores_with_its_sign(vote: Task) -> None:
    """Of scores 1, −2, 0, …, 0, 1 the first unit has 1/4, and the last one too; a refused prompt has no share."""
    first, second = (len(units) for units in vote.units)
    values = np.zeros(first)
    values[[0, 1, -1]] = 1, -2, 1
    own = classify_units(vote.units[0])[1]
    found = share_scores(vote, Scores((values, None)))
    assert found[UnitClass.FIRST][0] == found[UnitClass.LAST][0] == pytest.approx(0.25)
    assert found[own][0] == pytest.approx(-0.5)
    assert all(np.isnan(shares[1]) for shares in found.values())
    assert share_scores(vote, Scores((None, np.zeros(second)))) == {}


def test_the_effect_of_a_class_is_that_of_the_text_without_it(vote: Task) -> None:
    found = measure_classes(vote)
    assert len(found) >= 3
    for at, (pair, units, donor) in enumerate(zip(vote.prompts.pairs, vote.units, vote.donors, strict=True)):
        own = classify_units(units)
        for kind, losses in found.items():
            if kind not in own:
                assert np.isnan(losses[at])
                continue
            text = replace_units(pair, units, donor, np.array([each is not kind for each in own]))
            before, after = InputValues(vote.subject).read([(pair, pair.clean_ids), (pair, text)])
            assert losses[at] == pytest.approx(before - after, abs=1e-4)
    assert max(np.nanmax(np.abs(losses)) for losses in found.values()) > 1, "no class does anything"
