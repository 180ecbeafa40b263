"""What every metric on the shelf owes: a number per run and prompt, a sign that means the answer, nothing made up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from toy.additive import N_VOCABULARY, AdditiveSubject, pair_up

from audit_core.effect import Metric
from audit_core.errors import NotMeasured
from audit_core.metrics.nucleus_answer import keep_nucleus
from audit_core.registry import list_plugins
from audit_core.subject import Logits

METRICS = list(list_plugins("metrics").values())
PAIRS = pair_up(AdditiveSubject({}), 4).pairs
ANSWER, FOIL = PAIRS[0].answer_id, PAIRS[0].foil_id
words = arrays(np.float32, (3, 4, N_VOCABULARY), elements=st.floats(-20, 20, width=32))
# Multiples of 1/64, whose sums are exact in float32: rounding would make equal what was not.
coarse = st.integers(-20 * 64, 20 * 64)
coarse_words = arrays(np.int16, (3, 4, N_VOCABULARY), elements=coarse)


def read(metric: Metric, vocabulary: np.ndarray) -> np.ndarray:
    logits = Logits(vocabulary[..., ANSWER].copy(), vocabulary[..., FOIL].copy(), vocabulary, 0)
    return metric.read(logits, PAIRS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@given(words)
def test_a_metric_is_a_number_per_run_and_prompt(metric: Metric, vocabulary: np.ndarray) -> None:
    found = read(metric, vocabulary)
    assert found.shape == (3, 4)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@given(words)
def test_it_is_positive_where_the_answer_beats_the_foil_and_turns_over_with_them(
    metric: Metric, vocabulary: np.ndarray
) -> None:
    found = read(metric, vocabulary)
    difference = vocabulary[..., ANSWER].astype(float) - vocabulary[..., FOIL]
    assert (np.sign(found)[np.abs(found) > 1e-12] == np.sign(difference)[np.abs(found) > 1e-12]).all()
    swapped = vocabulary.copy()
    swapped[..., [ANSWER, FOIL]] = vocabulary[..., [FOIL, ANSWER]]
    np.testing.assert_allclose(read(metric, swapped), -found, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@given(coarse_words, coarse)
def test_a_constant_added_to_all_logits_is_nothing(metric: Metric, counts: np.ndarray, constant: int) -> None:
    """Softmax does not see it, so no metric may."""
    vocabulary = (counts / 64).astype(np.float32)
    np.testing.assert_allclose(
        read(metric, vocabulary + np.float32(constant / 64)), read(metric, vocabulary), atol=1e-12
    )


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_says_what_it_measures_and_in_what(metric: Metric) -> None:
    assert metric.unit
    assert metric.question.endswith("?")
    assert isinstance(metric.needs_vocabulary, bool)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_that_needs_the_vocabulary_refuses_to_do_without(metric: Metric) -> None:
    logits = Logits(np.ones((1, 4), np.float32), np.zeros((1, 4), np.float32), None, 0)
    if metric.needs_vocabulary:
        with pytest.raises(NotMeasured):
            metric.read(logits, PAIRS)
    else:
        assert (metric.read(logits, PAIRS) > 0).all()


def test_logit_difference_and_probability_by_hand() -> None:
    """Logits ln 3 for the answer, ln 2 for the foil, 0 for the other 62: ln 1.5 logits; 3/67 − 2/67 = 1/67."""
    vocabulary = np.zeros((1, 4, N_VOCABULARY), np.float32)
    vocabulary[..., ANSWER], vocabulary[..., FOIL] = np.log(3), np.log(2)
    plugins = list_plugins("metrics")
    np.testing.assert_allclose(read(plugins["logit_difference"], vocabulary), np.log(1.5), rtol=1e-6)
    np.testing.assert_allclose(read(plugins["answer_probability"], vocabulary), 1 / 67, rtol=1e-5)


def test_tokens_of_equal_probability_are_kept_together_whatever_their_last_digits() -> None:
    """Eleven of twelve equal tokens reach 0.9; so the twelfth is kept, though it may be smaller by one unit in the last place."""
    equal = np.full((1, 12), 1 / 12)
    nearly = equal.copy()
    nearly[0, -1] = np.nextafter(nearly[0, -1], 0)
    np.testing.assert_allclose(keep_nucleus(equal), equal, atol=1e-12)
    np.testing.assert_allclose(keep_nucleus(nearly), equal, atol=1e-12)
    np.testing.assert_allclose(keep_nucleus(np.array([[0.5, 0.05, 0.41, 0.04]])), [[50 / 91, 0, 41 / 91, 0]])
