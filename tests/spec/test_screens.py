"""What cheap estimates see and what they are known to miss, on a model whose weights are set by hand.

Exact effects follow from the weights (tests/toy/planted.py): the answer's logit is 10 − 3 = 7, the foil's 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from toy.additive import AdditiveSubject, pair_up
from toy.planted import BACKUP, NEGATIVE, PRIMARY, make_induction
from toy.prompts import tokenise_letters

from audit_core.component import Component, Kind, head
from audit_core.errors import ComponentRefused, ControlFailed, Refused
from audit_core.estimator import EstimateRequest, Estimator
from audit_core.intervention import CLEAN_RUN, Direction, PromptSide, Replacement, intervene
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.subject import no_progress
from audit_core.subjects.transformer import TransformerSubject

ATP, STAR, IG = "attribution_patching", "attribution_patching_star", "integrated_gradients"
PREVIOUS, INDUCTION, NEGATIVE_HEAD, BACKUP_HEAD = head(0, 0), head(1, 0), head(1, 3), head(2, 0)


def estimate(
    name: str,
    subject: TransformerSubject,
    prompts: TokenisedPrompts,
    kind: Kind = Kind.HEAD,
    replacement: Replacement = Replacement.RESAMPLE,
    side: PromptSide = PromptSide.CLEAN,
) -> dict[Component, np.ndarray]:
    method: Estimator = get_plugin("estimators", name)
    found = method.estimate(subject, EstimateRequest(prompts, kind, replacement, side), on_progress=no_progress)
    assert found.support.shape == (len(found.components), len(prompts))
    return dict(zip(found.components, found.support))


def measure(
    subject: TransformerSubject,
    prompts: TokenisedPrompts,
    kind: Kind = Kind.HEAD,
    replacement: Replacement = Replacement.RESAMPLE,
    direction: Direction = Direction.NOISING,
) -> dict[Component, np.ndarray]:
    parts = subject.components(kind)
    base = intervene([], replacement if replacement is Replacement.RESAMPLE else Replacement.ZERO, direction=direction)
    logits = subject.run(prompts, [base, *(intervene([p], replacement, direction=direction) for p in parts)])
    metric = logits.answer - logits.foil
    sign = 1 if direction is Direction.NOISING else -1
    return dict(zip(parts, sign * (metric[0] - metric[1:])))


@pytest.fixture(scope="module")
def context(planted: TransformerSubject) -> TokenisedPrompts:
    return tokenise(make_induction(8, change="context", n_templates=2), planted.tokenizer)


@pytest.fixture(scope="module")
def query(planted: TransformerSubject) -> TokenisedPrompts:
    return tokenise(make_induction(8, change="query", n_templates=2), planted.tokenizer)


@pytest.mark.parametrize("direction", Direction)
def test_a_head_whose_effect_is_a_straight_line_is_estimated_exactly(
    planted: TransformerSubject, context: TokenisedPrompts, direction: Direction
) -> None:
    """Taken out of the clean run or put into the corrupted one: what pushes towards the answer has the same sign."""
    exact = measure(planted, context, direction=direction)
    for name in (ATP, IG):
        found = estimate(name, planted, context, side=direction.side)
        for part in (INDUCTION, NEGATIVE_HEAD):
            np.testing.assert_allclose(found[part], exact[part], atol=1e-2)
    assert exact[INDUCTION].min() == pytest.approx(2 * PRIMARY, abs=0.01)
    assert exact[NEGATIVE_HEAD].max() == pytest.approx(2 * NEGATIVE, abs=0.01)


def test_attribution_patching_does_not_see_through_a_saturated_softmax(
    planted: TransformerSubject, context: TokenisedPrompts
) -> None:
    """The previous-token head carries everything, 2 · 7 logits; its slope passes a softmax that is flat."""
    assert measure(planted, context)[PREVIOUS].min() == pytest.approx(14, abs=0.01)
    assert np.abs(estimate(ATP, planted, context)[PREVIOUS]).max() < 1e-3
    assert estimate(IG, planted, context)[PREVIOUS].min() > 5, "a path through the slope of the softmax sees part of it"


def test_attribution_patching_misses_keys_and_the_recomputed_softmax_finds_them(
    planted: TransformerSubject, context: TokenisedPrompts
) -> None:
    exact = measure(planted, context, Kind.KEY)
    plain, star = (estimate(name, planted, context, Kind.KEY) for name in (ATP, STAR))
    for part, size in ((Component(1, Kind.KEY, 0), 2 * PRIMARY), (Component(1, Kind.KEY, 3), -2 * NEGATIVE)):
        assert np.abs(exact[part]).min() == pytest.approx(size, abs=0.01)
        assert np.abs(plain[part]).max() < 1e-3
        # Each of L − 1 = 2 layers that may be dropped without the head's own: a straight line from its pattern on.
        np.testing.assert_allclose(star[part], size, atol=0.05)


def test_the_same_holds_of_queries(planted: TransformerSubject, query: TokenisedPrompts) -> None:
    part = Component(1, Kind.QUERY, 0)
    exact = measure(planted, query, Kind.QUERY)[part]
    assert exact.min() > 5
    assert np.abs(estimate(ATP, planted, query, Kind.QUERY)[part]).max() < 1e-3
    assert estimate(STAR, planted, query, Kind.QUERY)[part].min() > 5


def test_no_screen_sees_self_repair(planted: TransformerSubject, context: TokenisedPrompts) -> None:
    """Zeroing the primary head costs 2 logits, as the backup gives 8 of 10 back; the slope says 10 and of the backup 0."""
    exact, found = (f(planted, context, Kind.HEAD, Replacement.ZERO) for f in (measure, lambda *a: estimate(ATP, *a)))
    np.testing.assert_allclose(exact[INDUCTION], PRIMARY - BACKUP, atol=0.01)
    np.testing.assert_allclose(found[INDUCTION], PRIMARY, atol=0.01)
    for by in (exact, found):
        assert np.abs(by[BACKUP_HEAD]).max() < 1e-3


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3", "gemma2", "mixtral"])
def test_a_small_step_is_estimated_as_it_is_measured(
    family: str, load_family: Callable[[str], TransformerSubject]
) -> None:
    """A slope is a limit: taking 1/100 of an activation away costs 1/100 of the estimate, for every kind and family."""
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, [6, 6, 8])
    for kind in get_plugin("estimators", ATP).kinds:
        if not subject.components(kind):
            with pytest.raises(ComponentRefused, match="no accessible neuron"):
                estimate(ATP, subject, prompts, kind, Replacement.ZERO)
            continue
        found = estimate(ATP, subject, prompts, kind, Replacement.ZERO)
        chosen = list(found)[:: max(1, len(found) // 3)]
        small = [intervene([part], Replacement.SCALE, factor=0.99) for part in chosen]
        logits = subject.run(prompts, [CLEAN_RUN, *small])
        metric = (logits.answer - logits.foil).astype(float)
        for part, step in zip(chosen, 100 * (metric[0] - metric[1:])):
            np.testing.assert_allclose(step, found[part], rtol=0.12, atol=0.12, err_msg=str(part))


def test_dropping_a_layer_keeps_two_paths_from_hiding_each_other(
    load_family: Callable[[str], TransformerSubject],
) -> None:
    """The average over dropped layers is never below what a head does directly, sign aside: sizes only add."""
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, [7] * 4)
    star = estimate(STAR, subject, prompts)
    plain = estimate(ATP, subject, prompts)
    assert all((values >= 0).all() for values in star.values())
    last = [part for part in star if part.layer == subject.geometry.n_layers - 1]
    # Nothing follows the last layer, so each of the other L − 1 dropped layers leaves its slope as it was.
    for part in last:
        np.testing.assert_allclose(star[part], np.abs(plain[part]), rtol=1e-3, atol=1e-4)
    assert any(np.abs(star[p] - np.abs(plain[p])).max() > 0.01 for p in star if p not in last)


def test_grouped_keys_count_every_head_that_shares_them(load_family: Callable[[str], TransformerSubject]) -> None:
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, [7] * 2)
    assert subject.geometry.n_key_value_heads < subject.geometry.n_heads
    for kind in (Kind.KEY, Kind.VALUE):
        assert (
            len(estimate(STAR, subject, prompts, kind))
            == subject.geometry.n_layers * subject.geometry.n_key_value_heads
        )


def test_what_a_method_cannot_estimate_is_refused(planted: TransformerSubject, context: TokenisedPrompts) -> None:
    with pytest.raises(ComponentRefused, match="integrated_gradients of head under zero"):
        estimate(IG, planted, context, Kind.HEAD, Replacement.ZERO)
    with pytest.raises(ComponentRefused, match="attribution_patching_star of resid under resample"):
        estimate(STAR, planted, context, Kind.RESID)
    toy = AdditiveSubject({head(0, 0): 1.0})
    with pytest.raises(Refused, match="Gradients of this model are not available"):
        estimate(ATP, toy, pair_up(toy))  # type: ignore[arg-type]


def test_a_hook_that_does_not_fire_gives_no_estimate(
    planted: TransformerSubject, context: TokenisedPrompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = planted.runner.model.points[Kind.HEAD, 1]
    monkeypatch.setattr(point, "add_hook", lambda hook, **options: None)
    with pytest.raises(ControlFailed, match="did not fire"):
        estimate(ATP, planted, context)


def test_a_screen_leaves_no_hook_behind(planted: TransformerSubject, context: TokenisedPrompts) -> None:
    before = planted.run(context, [CLEAN_RUN]).answer
    for name in (ATP, STAR, IG):
        estimate(name, planted, context)
    assert (planted.run(context, [CLEAN_RUN]).answer == before).all()
