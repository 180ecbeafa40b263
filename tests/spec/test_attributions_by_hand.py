"""Attribution methods by hand: Shapley values, linear models, and models whose wiring gives the number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from audit_core.attributions.lime import fit_linear
from audit_core.attributions.shapley import compute_shapley, fit_shapley
from audit_core.component import Kind
from audit_core.engine.gradients import embed, get_runner, measure_gradients
from audit_core.errors import PromptRefused
from audit_core.explanations import (
    SAMPLES,
    Task,
    UnitKind,
    choose_masks,
    make_task,
    remove_units,
    replace_units,
    split_units,
)
from audit_core.prompts.alignment import tokenise
from audit_core.registry import get_plugin
from audit_core.subjects.planted import find_planted
from audit_core.subjects.planted.induction import VOTE


def test_two_features_share_the_change_by_both_orders() -> None:
    """f(∅) = 0.10, f(D) = 0.30, f(I) = 0.05, f(D, I) = 0.32. D adds 0.20 or 0.27, I adds −0.05 or 0.02."""
    found = compute_shapley(np.array([0.10, 0.30, 0.05, 0.32]))
    np.testing.assert_allclose(found, [0.235, -0.015], atol=1e-12)
    assert 0.10 + found.sum() == pytest.approx(0.32, abs=1e-12)


def test_an_and_is_shared_equally_and_an_unused_unit_gets_nothing() -> None:
    """v = 6 if units 0 and 1 are both there; unit 2 is not read."""
    sets = choose_masks(3, seed=0).kept
    np.testing.assert_allclose(compute_shapley(6.0 * (sets[:, 0] & sets[:, 1])), [3, 3, 0], atol=1e-12)


def test_the_weighted_regression_on_all_sets_is_the_exact_value() -> None:
    """Theorem 2 of Lundberg and Lee: with the kernel on every set, least squares gives Shapley values."""
    masks = choose_masks(5, seed=0)
    values = np.random.default_rng(1).normal(size=32)
    ends_first = np.r_[0, 31, 1:31]
    found = fit_shapley(masks.kept[ends_first], values[ends_first], masks.weights[ends_first])
    np.testing.assert_allclose(found, compute_shapley(values), atol=1e-9)


@pytest.mark.parametrize("n", [12, 40])
def test_sampled_values_add_up_to_the_change_and_are_exact_for_a_linear_model(n: int) -> None:
    masks, draw = choose_masks(n, seed=4), np.random.default_rng(n)
    weights = draw.normal(size=n)
    np.testing.assert_allclose(fit_shapley(masks.kept, masks.kept @ weights + 2, masks.weights), weights, atol=1e-8)
    values = draw.normal(size=len(masks.kept))
    assert fit_shapley(masks.kept, values, masks.weights).sum() == pytest.approx(values[1] - values[0], abs=1e-6)


def test_sampled_sets_are_pairs_of_complements_within_the_budget() -> None:
    masks = choose_masks(14, seed=0)
    assert len(masks.kept) == SAMPLES + 2
    rows = {row.tobytes() for row in masks.kept}
    assert all((~row).tobytes() in rows for row in masks.kept)
    assert not np.array_equal(masks.kept, choose_masks(14, seed=1).kept)


@pytest.mark.parametrize("n", [6, 13])
def test_lime_finds_the_weights_of_a_linear_model_and_says_that_nothing_is_left(n: int) -> None:
    kept, weights = choose_masks(n, seed=0).kept, np.arange(n) - 2.5
    found, missed = fit_linear(kept, kept @ weights - 1)
    np.testing.assert_allclose(found, weights, atol=0.02)
    assert missed < 1e-4
    assert fit_linear(kept, 9.0 * (kept[:, 0] & kept[:, 1]))[1] > 0.05, "an AND is not linear, and the check says so"


@pytest.fixture(scope="module")
def vote(load_planted: Callable[[str], Any]) -> Task:
    model, subject = find_planted("planted-strict"), load_planted("planted-strict")
    assert model is not None
    prompts = tokenise(model.find_task("vote").make(2, 0), subject.tokenizer)
    return make_task(subject, prompts.take((0, 1, 4)), prompts, UnitKind.TOKENS, seed=0)


def list_letters(task: Task, at: int) -> tuple[list[int], np.ndarray]:
    """Units that vote, and +1 where one votes for the answer."""
    pair = task.prompts.pairs[at]
    places = [i for i, unit in enumerate(task.units[at]) if unit.text.strip() in ("A", "B")]
    signs = [1 if task.units[at][i].text.strip() == pair.prompt.answer.strip() else -1 for i in places]
    return places, np.array(signs)


def test_occlusion_of_a_vote_is_twice_its_share(vote: Task) -> None:
    """Each letter has 1 / (voters + 2) of the attention, times VOTE logits; the other letter in its place turns it.
    Background heads add up to a quarter of a logit."""
    found = get_plugin("attributions", "occlusion").score(vote, seed=0)
    for at, values in enumerate(found.values):
        places, signs = list_letters(vote, at)
        np.testing.assert_allclose(values[places], 2 * VOTE / (len(places) + 2) * signs, atol=0.25)


def test_integrated_gradients_of_a_vote_have_its_sign_and_add_up(vote: Task) -> None:
    found = get_plugin("attributions", "integrated_gradients").score(vote, seed=0)
    assert max(error for error in found.error if error is not None) <= 1e-3
    for at, values in enumerate(found.values):
        places, signs = list_letters(vote, at)
        assert values is not None
        # Where every prompt of this length has one letter, the average prompt has it too.
        differs = np.abs(values[places]) > 1e-6
        assert differs.sum() > len(places) / 2
        assert (np.sign(values[places]) == signs)[differs].all()


def test_shapley_values_of_units_add_up_to_the_measured_change(vote: Task) -> None:
    found = get_plugin("attributions", "shapley").score(vote, seed=0)
    for values, units, error in zip(found.values, vote.units, found.error, strict=True):
        assert values is not None
        assert len(values) == len(units)
        assert error is not None
        assert error <= 1e-6


def test_gradient_times_input_is_the_derivative_along_the_embedding(vote: Task) -> None:
    """m((1 + h) e) − m((1 − h) e) over 2h, for one unit's embedding alone, by central differences."""
    one = vote.take((0,))
    (values,) = get_plugin("attributions", "gradient_input").score(one, seed=0).values
    runner, pair = get_runner(one.subject), one.prompts.pairs[0]
    calls, rows = runner.find_calls(len(pair.clean_ids)), embed(runner, [pair.clean_ids])
    assert values is not None
    for at in (0, 4):
        ends = []
        for step in (0.01, -0.01):
            moved = rows.clone()
            moved[:, one.units[0][at].positions[0]] *= 1 + step
            ends.append(
                float(measure_gradients(runner, moved, [pair.answer_ids], [pair.foil_ids], (Kind.RESID,), calls).metric)
            )
        assert values[at] == pytest.approx((ends[0] - ends[1]) / 0.02, abs=0.02)


@pytest.mark.parametrize("name", ["gradient_input", "integrated_gradients", "occlusion", "shapley", "lime"])
def test_swapping_answer_and_foil_negates_signed_scores(name: str, vote: Task) -> None:
    """Label randomisation: a score that does not know which answer is asked for keeps its sign."""
    pairs = tuple(
        replace(p, contrast=replace(p.contrast, answers=p.contrast.foils, foils=p.contrast.answers))
        for p in vote.prompts.pairs
    )
    swapped = replace(vote, prompts=replace(vote.prompts, pairs=pairs))
    method = get_plugin("attributions", name)
    for one, other in zip(method.score(vote, seed=0).values, method.score(swapped, seed=0).values, strict=True):
        np.testing.assert_allclose(one, -other, atol=1e-3)


def test_every_unit_is_replaced_by_another_token_at_the_same_length(vote: Task) -> None:
    for pair, units, donor in zip(vote.prompts.pairs, vote.units, vote.donors, strict=True):
        nothing = np.zeros(len(units), bool)
        replaced = replace_units(pair, units, donor, nothing)
        assert len(replaced) == len(pair.clean_ids)
        changed = [at for at, (a, b) in enumerate(zip(replaced, pair.clean_ids, strict=True)) if a != b]
        assert changed == [at for unit in units for at in unit.positions]
        kept = nothing.copy()
        kept[[0, 2]] = True
        rest = [at for at in range(len(pair.clean_ids)) if at not in changed]
        wanted = sorted([*rest, *units[0].positions, *units[2].positions])
        assert remove_units(pair, units, donor, kept) == tuple(pair.clean_ids[at] for at in wanted)


def test_words_join_their_tokens_and_too_few_units_are_refused(vote: Task) -> None:
    pair = replace(
        vote.prompts.pairs[0],
        clean_ids=(0, 5, 6, 7, 8),
        pieces=("<s>", "The", " ba", "ker", ","),
    )
    assert [unit.text for unit in split_units(pair, UnitKind.TOKENS, start_id=0)] == ["The", " ba", "ker", ","]
    with pytest.raises(PromptRefused, match="2 words"):
        split_units(pair, UnitKind.WORDS, start_id=0)
