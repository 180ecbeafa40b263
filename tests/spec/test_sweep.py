"""A sweep in the order of its screen: every cell is measured, whatever was estimated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from toy.planted import NEGATIVE, PRIMARY, make_induction
from toy.prompts import tokenise_letters

from audit_core.audits.sweep import PLUGIN, SweepPartial, SweepRequest, SweepResult
from audit_core.component import Kind
from audit_core.errors import Cancelled, NotMeasured, Refused
from audit_core.intervention import CLEAN_RUN, Direction, Replacement
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.multiplicity import adjust_p_values
from audit_core.subject import no_progress
from audit_core.subjects.transformer import TransformerSubject

ATP = "attribution_patching"


@pytest.fixture(scope="module")
def prompts(planted: TransformerSubject) -> TokenisedPrompts:
    return tokenise(make_induction(20, change="context", n_templates=5), planted.tokenizer)


def sweep(subject: TransformerSubject, prompts: TokenisedPrompts, **choices: Any) -> tuple[SweepResult, list]:
    partials: list[SweepPartial] = []
    request = SweepRequest(prompts, prompts, **choices)
    result = PLUGIN.run(subject, request, means=None, on_progress=no_progress, on_partial=partials.append)
    return result, partials


def test_the_screen_changes_the_order_of_the_work_and_no_number(
    planted: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    plain, none = sweep(planted, prompts)
    screened, partials = sweep(planted, prompts, screen=ATP)
    np.testing.assert_allclose(screened.per_prompt, plain.per_prompt, atol=1e-4)
    assert [c.component for c in screened.cells] == [c.component for c in plain.cells]
    assert plain.screened is None
    assert screened.screened is not None
    assert len(none) == 1
    assert len(partials) > 2
    first = [sum(value is not None for value in p.exact) for p in partials]
    assert first == sorted(first)
    assert first[0] == 0


def test_what_is_estimated_largest_is_measured_first(planted: TransformerSubject, prompts: TokenisedPrompts) -> None:
    """The induction head has the largest slope, 2 · 10 logits, and is the one cell of the first block."""
    _, partials = sweep(planted, prompts, screen=ATP)
    done = [name for name, value in zip(partials[1].components, partials[1].exact) if value is not None]
    assert done == ["L1.H0"]
    found = partials[1].exact[partials[1].components.index("L1.H0")]
    assert found is not None
    assert found.value == pytest.approx(2 * PRIMARY, abs=0.01)
    assert found.low is not None, "a number on its way has its interval too"


def test_a_miss_of_the_screen_is_in_the_result_beside_the_measurement(
    planted: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    """The previous-token head: measured 14 logits, estimated none."""
    result, _ = sweep(planted, prompts, screen=ATP)
    assert result.screened is not None
    assert result.cells[0].component == "L0.H0"
    assert result.cells[0].estimate.value == pytest.approx(2 * (PRIMARY + NEGATIVE), abs=0.01)
    assert abs(result.screened.support[0].value) < 1e-3
    assert "saturated" in result.screened.misses


def test_a_layer_adds_up_the_effects_of_its_components(planted: TransformerSubject, prompts: TokenisedPrompts) -> None:
    """Layer 1: the induction head pushes 2 · 10, the negative head 2 · −3."""
    result, _ = sweep(planted, prompts)
    assert [e.value for e in result.layers] == pytest.approx([14, 2 * (PRIMARY + NEGATIVE), 0], abs=0.02)
    assert all(e.low is not None and e.low <= e.value for e in result.layers)


def test_marks_allow_for_how_many_were_looked_at(planted: TransformerSubject, prompts: TokenisedPrompts) -> None:
    result, _ = sweep(planted, prompts)
    marked = {c.component for c in result.cells if c.adjusted_p is not None and c.adjusted_p < 0.05}
    assert marked == {"L0.H0", "L1.H0", "L1.H3"}
    few = TokenisedPrompts("few", prompts.pairs[:2], "")
    unmarked, _ = sweep(planted, few)
    assert all(c.adjusted_p is None for c in unmarked.cells)
    assert "templates" in unmarked.no_marks


def test_of_components_without_effect_few_are_marked() -> None:
    """Benjamini–Hochberg at 5 % over noise alone: the chance of any mark is 5 %, whatever the number of components."""
    draw = np.random.default_rng(0)
    clusters = [f"t{i % 12}" for i in range(72)]
    any_marked = [(adjust_p_values(draw.normal(size=(60, 72)), clusters) < 0.05).any() for _ in range(300)]
    assert 0.02 < np.mean(any_marked) < 0.09


def test_components_with_an_effect_are_marked() -> None:
    draw = np.random.default_rng(1)
    values = draw.normal(size=(60, 72))
    values[:10] += 2
    found = adjust_p_values(values, [f"t{i % 12}" for i in range(72)]) < 0.05
    assert found[:10].all()
    assert found[10:].sum() <= 3


def test_adjusted_values_by_hand() -> None:
    """Five template means m − 2 … m + 2 have t = √2 · m on four degrees of freedom. Raw 0.01, 0.04, 0.042, 0.9, times
    four over their rank, are 0.04, 0.08, 0.056, 0.9; and none may exceed one that began larger, so 0.08 becomes 0.056."""
    from scipy.stats import t

    raw = np.array([0.042, 0.9, 0.01, 0.04])
    values = t.isf(raw / 2, 4)[:, None] / np.sqrt(2) + np.arange(-2, 3)
    np.testing.assert_allclose(adjust_p_values(values, list("abcde")), [0.056, 0.9, 0.04, 0.056])


def test_an_effect_that_never_varies_is_zero_for_certain_or_certainly_not() -> None:
    values = np.stack([np.zeros(10), np.full(10, 2.0)])
    np.testing.assert_allclose(adjust_p_values(values, [f"t{i % 5}" for i in range(10)]), [1, 0])


def test_prompts_of_one_template_are_not_independent() -> None:
    """Twenty copies of five values: as sure as five values, not as a hundred."""
    base = np.array([[1.0, 2.0, -0.5, 0.8, 1.2]])
    clusters = [f"t{i}" for i in range(5)]
    once = adjust_p_values(base, clusters)
    np.testing.assert_allclose(adjust_p_values(np.tile(base, 20), clusters * 20), once)
    with pytest.raises(NotMeasured, match="4 templates"):
        adjust_p_values(base[:, :4], clusters[:4])


def test_a_sweep_can_be_cancelled_between_blocks_of_the_model(
    load_family: Callable[[str], TransformerSubject],
) -> None:
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, [9] * 10)
    seen: list[int] = []

    def stop(done: int, total: int) -> None:
        seen.append(done)
        if done > total / 3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        PLUGIN.run(subject, SweepRequest(prompts, prompts, screen=ATP), means=None, on_progress=stop)
    assert len(seen) > 3, "progress is told after every block, not at the end"
    assert subject.run(prompts, [CLEAN_RUN]).edits_applied == 0, "the model is free again"


def test_a_screen_of_another_metric_is_refused(planted: TransformerSubject, prompts: TokenisedPrompts) -> None:
    with pytest.raises(Refused, match="Estimates of answer_probability over head"):
        sweep(planted, prompts, screen=ATP, metric="answer_probability")


@pytest.mark.parametrize("kind", [Kind.QUERY, Kind.KEY, Kind.VALUE, Kind.MLP, Kind.RESID])
def test_every_kind_of_the_page_can_be_swept(kind: Kind, load_family: Callable[[str], TransformerSubject]) -> None:
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, [6, 6])
    result, _ = sweep(subject, prompts, kind=kind, replacement=Replacement.RESAMPLE, direction=Direction.DENOISING)
    # The residual stream from the first token that differs on: before it both runs are one.
    positions = 7 - min(pair.first_changed for pair in prompts.pairs) if kind is Kind.RESID else 1
    assert len(result.cells) == len(subject.components(kind)) * positions
    assert max(abs(c.estimate.value) for c in result.cells) > 0.01
