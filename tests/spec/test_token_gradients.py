"""T14: a picture by integrated gradients is drawn where it adds up, and refused where it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from audit_core.audits.token_gradients import PLUGIN, TokenGradientsRequest
from audit_core.component import Kind
from audit_core.engine.path_gradients import (
    _PLACES,
    _WEIGHTS,
    TokenGradients,
    integrate_adaptively,
    integrate_gradients,
)
from audit_core.errors import NotMeasured, PromptRefused
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.subject import no_progress
from audit_core.subjects.planted import find_planted

Load = Callable[[str], Any]


def make(load_planted: Load) -> tuple[Any, TokenisedPrompts, np.ndarray]:
    model, subject = find_planted("planted-strict"), load_planted("planted-strict")
    assert model is not None
    prompts = tokenise(model.find_task("context").make(4, 0), subject.tokenizer)
    length = len(prompts.pairs[0].clean_ids)
    means = subject.capture_means(prompts, kinds={Kind.RESID})
    return subject, prompts, means.activations[length, ""][Kind.RESID][0]


def test_relevances_add_up_to_the_change_they_are_of(load_planted: Load) -> None:
    subject, prompts, baseline = make(load_planted)
    found = integrate_gradients(subject, prompts.pairs[0], baseline)
    assert found.missed <= 0.05
    assert found.relevance.sum() == pytest.approx(found.change, rel=0.05)
    assert abs(found.change) > 1


def test_five_steps_through_a_saturated_softmax_are_refused(load_planted: Load) -> None:
    """Measured on a model like this one: five steps miss 72 % at the median, fifty less than a thousandth."""
    subject, prompts, baseline = make(load_planted)
    errors = [find_refusal(subject, pair, baseline) for pair in prompts.pairs[:8]]
    assert sum("sum of integrated gradients" in error for error in errors) >= 6


def find_refusal(subject: Any, pair: TokenPair, baseline: np.ndarray) -> str:
    try:
        integrate_gradients(subject, pair, baseline, steps=5, most=5)
    except NotMeasured as error:
        return error.detail
    return ""


def test_steps_are_doubled_until_it_adds_up(load_planted: Load) -> None:
    subject, prompts, baseline = make(load_planted)
    found = integrate_gradients(subject, prompts.pairs[0], baseline, steps=5)
    assert found.steps > 5
    assert found.missed <= 0.05


def test_the_measured_tokens_are_beside_the_estimate_or_alone(load_planted: Load) -> None:
    subject, prompts, _ = make(load_planted)
    one = replace(prompts, pairs=prompts.pairs[:1])
    means = subject.capture_means(prompts, kinds={Kind.RESID})

    def ask(request: TokenGradientsRequest) -> Any:
        return PLUGIN.run(subject, request, means=means, on_progress=no_progress)

    both = ask(TokenGradientsRequest(one, prompts))
    assert len(both.measured) == len(both.tokens) == len(both.estimated)
    assert max(map(abs, both.measured)) > 1
    refused = ask(TokenGradientsRequest(one, prompts, steps=5, most_steps=5))
    assert refused.estimated is None
    assert "sum of integrated gradients" in refused.not_estimated
    assert refused.measured == both.measured
    with pytest.raises(PromptRefused):
        ask(TokenGradientsRequest(prompts, prompts))


def test_points_go_where_the_path_bends(load_planted: Load) -> None:
    """Through a saturated softmax: the same relevance as 200 equal steps, complete in every part, with fewer points."""
    subject, prompts, baseline = make(load_planted)
    (found,) = integrate_adaptively(subject, prompts.pairs[:1], [baseline])
    slow = integrate_gradients(subject, prompts.pairs[0], baseline, steps=200, most=140)
    assert isinstance(found, TokenGradients)
    assert found.missed <= 1e-3
    assert found.relevance == pytest.approx(slow.relevance, abs=2e-2 * abs(slow.change))
    assert 9 <= found.steps < 200


def test_prompts_that_share_passes_get_what_each_gets_alone(load_planted: Load) -> None:
    """Also where others are refused, or end in other rounds, or read another number of tokens."""
    subject, prompts, baseline = make(load_planted)
    pairs = (*prompts.pairs[:6], replace(prompts.pairs[0], clean_ids=prompts.pairs[0].clean_ids[1:]))
    baselines = [*[baseline] * 6, baseline[1:]]
    together = integrate_adaptively(subject, pairs, baselines, most=14)
    alone = [integrate_adaptively(subject, [pair], [base], most=14)[0] for pair, base in zip(pairs, baselines)]
    kinds = {type(one) for one in together}
    assert kinds == {TokenGradients, NotMeasured}
    assert len({one.steps for one in together if isinstance(one, TokenGradients)}) > 1
    for one, other in zip(together, alone, strict=True):
        assert type(one) is type(other)
        if isinstance(one, TokenGradients) and isinstance(other, TokenGradients):
            assert one.steps == other.steps
            assert one.relevance == pytest.approx(other.relevance, abs=1e-4 * abs(other.change))


def test_the_rule_of_a_part_is_exact_for_a_cubic() -> None:
    """∫ x³ = 1/4 over (0, 1), by five points."""
    places = np.array(_PLACES)
    assert _WEIGHTS.sum() == pytest.approx(1)
    assert _WEIGHTS @ places**3 == pytest.approx(1 / 4)


def test_too_few_points_are_refused(load_planted: Load) -> None:
    subject, prompts, baseline = make(load_planted)
    found = integrate_adaptively(subject, prompts.pairs[:8], [baseline] * 8, most=9)
    assert sum(isinstance(one, NotMeasured) and "at 9 points" in one.detail for one in found) >= 4
