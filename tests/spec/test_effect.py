"""Effects: what is lost or gained, and when there is nothing to take a fraction of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toy.additive import AdditiveSubject, pair_up

from audit_core.component import head, mlp
from audit_core.effect import MIN_ACCURACY, Effect, check_task, measure_effect
from audit_core.errors import NotMeasured
from audit_core.intervention import Direction, Intervention, Replacement, intervene
from audit_core.metrics.answer_probability import PLUGIN as PROBABILITY
from audit_core.metrics.logit_difference import PLUGIN as LOGIT_DIFFERENCE
from audit_core.prompts.prompt_set import TokenisedPrompts

GOOD, BAD = head(0, 0), head(1, 2)
WORTH = {GOOD: 3.0, BAD: -1.0, mlp(0): 0.5}
"""Clean 3 − 1 + 0.5 = 2.5; corrupted, every level reversed, −2.5; the gap is 5."""


def measure(subject: AdditiveSubject, *asked: Intervention, prompts: TokenisedPrompts | None = None) -> Effect:
    prompts = prompts or pair_up(subject)
    return measure_effect(subject, prompts, asked, LOGIT_DIFFERENCE, means=subject.capture_means(prompts), seed=0)


@pytest.mark.parametrize(
    "part, replacement, direction, support",
    [
        (GOOD, Replacement.ZERO, Direction.NOISING, 3),
        (GOOD, Replacement.RESAMPLE, Direction.NOISING, 6),
        (GOOD, Replacement.RESAMPLE, Direction.DENOISING, 6),
        (GOOD, Replacement.MEAN, Direction.NOISING, 3),
        (BAD, Replacement.ZERO, Direction.NOISING, -1),
        (BAD, Replacement.RESAMPLE, Direction.DENOISING, -2),
        (mlp(0), Replacement.ZERO, Direction.NOISING, 0.5),
        (head(1, 1), Replacement.RESAMPLE, Direction.NOISING, 0),
    ],
)
def test_support_is_what_is_lost_without_a_part_or_gained_with_it(
    part: object, replacement: Replacement, direction: Direction, support: float
) -> None:
    """Worth 3: zero loses 3; resample puts −3 there and loses 6; denoising puts 3 where −3 was and gains 6;
    the mean of levels 1 and −1 is 0, so mean is zero here. A part that pushes away has negative support."""
    found = measure(AdditiveSubject(WORTH), intervene([part], replacement, direction=direction))  # type: ignore[list-item]
    np.testing.assert_allclose(found.clean, 2.5)
    np.testing.assert_allclose(found.corrupted, -2.5)
    np.testing.assert_allclose(found.gap, 5)
    np.testing.assert_allclose(found.support, support, atol=1e-6)


def test_scaling_loses_what_it_takes_away_and_amplifying_is_negative_support() -> None:
    asked = [intervene([GOOD], Replacement.SCALE, factor=factor) for factor in (0, 0.5, 1, 2)]
    np.testing.assert_allclose(measure(AdditiveSubject(WORTH), *asked).support[:, 0], [3, 1.5, 0, -3], atol=1e-6)


def test_accuracy_is_the_share_of_prompts_on_which_the_answer_wins() -> None:
    levels = {"good 0 x": 1.0, "good 1 x": 1.0, "good 2 x": -1.0, "good 3 x": 0.0}
    subject = AdditiveSubject(WORTH, level=lambda text: levels.get(text, -1.0))
    assert measure(subject, prompts=pair_up(subject, 4)).accuracy == 0.5, "a tie is not a win"


def test_one_prompt_has_its_whole_vocabulary_where_that_was_asked_for() -> None:
    subject = AdditiveSubject(WORTH)
    asked = intervene([GOOD], Replacement.ZERO)
    prompts = pair_up(subject, 1)
    one = measure_effect(subject, prompts, [asked], LOGIT_DIFFERENCE, seed=0, next_tokens=True)
    assert one.vocabulary is not None
    assert one.vocabulary.shape == (3, subject.geometry.n_vocabulary)
    answer = one.prompts.pairs[0].answer_id
    np.testing.assert_allclose(one.vocabulary[:, answer], [2.5, -2.5, -0.5])
    assert measure(subject, asked).vocabulary is None


def test_results_cannot_be_written_to() -> None:
    found = measure(AdditiveSubject(WORTH), intervene([GOOD], Replacement.ZERO))
    for array in (found.clean, found.corrupted, found.patched):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def effect_of(clean: list[float], corrupted: list[float]) -> Effect:
    subject = AdditiveSubject(WORTH)
    prompts = pair_up(subject, len(clean))
    controls = measure(subject, prompts=prompts).controls
    return Effect(
        prompts, (), "m", "logits", 0.5, np.array(clean), np.array(corrupted), np.empty((0, len(clean))), None, controls
    )


def test_a_task_the_model_does_is_passed() -> None:
    check_task(effect_of([1, 1, 1, -1], [0.5, 0.5, 0.5, -1.5]))


def test_a_task_that_the_model_does_not_do_cannot_be_explained() -> None:
    """Two of four right is 50 %; three of four is the 75 % that is needed."""
    with pytest.raises(NotMeasured, match=r"prefers the answer on 50% of 4 prompts, 75% needed") as caught:
        check_task(effect_of([5, 5, -1, -1], [0, 0, -5, -5]))
    assert caught.value.reason == "model_fails_task"
    assert MIN_ACCURACY == 0.75


@pytest.mark.parametrize("corrupted, gap", [([0.6] * 4, "0.40"), ([1] * 4, "0.00"), ([2] * 4, "-1.00")])
def test_a_corruption_that_hardly_matters_leaves_nothing_to_divide_by(corrupted: list[float], gap: str) -> None:
    """Dividing by the clean value instead, 1.0, would hide that nothing was corrupted."""
    with pytest.raises(NotMeasured, match=f"changes the metric by {gap} logits, 0.5 needed; choose a corruption"):
        check_task(effect_of([1] * 4, corrupted))


def test_each_metric_says_which_gap_is_large_enough_in_its_own_unit() -> None:
    """0.4 is little in logits and much in probability."""
    assert LOGIT_DIFFERENCE.min_gap == 0.5
    assert PROBABILITY.min_gap == 0.05
    check_task(replace(effect_of([0.7] * 4, [0.3] * 4), unit="probability", min_gap=0.05))
    with pytest.raises(NotMeasured, match="0.40 logits, 0.5 needed"):
        check_task(effect_of([0.7] * 4, [0.3] * 4))


def test_whole_vocabularies_are_read_a_few_prompts_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut so, the numbers are the same and progress still rises to its total."""
    subject = AdditiveSubject(WORTH, level=lambda text: float(len(text)))
    prompts, asked = pair_up(subject, 12), [intervene([GOOD], Replacement.ZERO)]
    whole = measure_effect(subject, prompts, asked, PROBABILITY, seed=0)
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr("audit_core.effect._MAX_VOCABULARY_FLOATS", 3 * subject.geometry.n_vocabulary * 5)
    cut = measure_effect(
        subject, prompts, asked, PROBABILITY, seed=0, on_progress=lambda done, total: seen.append((done, total))
    )
    np.testing.assert_array_equal(cut.patched, whole.patched)
    assert seen == [(15, 36), (30, 36), (36, 36)]
