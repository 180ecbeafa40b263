"""Attention's own tests on models whose wiring is known: the numbers of methods 2.15, and T15."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from toy.planted import BACKUP, CLEAN_LOGIT, NEGATIVE, PRIMARY, VOTE, make_induction, make_votes

from audit_core.attention.agreement import compare_heads, compare_tokens
from audit_core.attention.pattern_test import CAVEAT, DELTA
from audit_core.attention.randomisation import read_randomisation
from audit_core.audits.attention_tests import MAX_PROMPTS, AttentionTestsRequest, AttentionTestsResult
from audit_core.component import Component, Kind, head, mlp
from audit_core.errors import ComponentRefused, InterventionRefused, NotMeasured
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import PromptSet, TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.run import dump_result
from audit_core.subject import Subject, no_progress
from audit_core.subjects.planted import INDUCTION
from audit_core.subjects.transformer import TransformerSubject

GAP = 2 * CLEAN_LOGIT
"""With another query word the same circuit says the foil: 7 − (−7)."""


def ask(subject: Subject, prompts: TokenisedPrompts, **options: Any) -> AttentionTestsResult:
    request = AttentionTestsRequest(prompts, prompts, **options)
    means = subject.capture_means(prompts, kinds=request.kinds)
    return get_plugin("audits", "attention_tests").run(subject, request, means=means, on_progress=no_progress)


@pytest.fixture(scope="module")
def prompts(planted: TransformerSubject) -> TokenisedPrompts:
    return tokenise(make_induction(30, change="query", n_templates=6), planted.tokenizer)


@pytest.fixture(scope="module")
def result(planted: TransformerSubject, prompts: TokenisedPrompts) -> AttentionTestsResult:
    return ask(planted, prompts)


def logits(result: AttentionTestsResult, address: str) -> list[float]:
    """Uniform, permuted and zeroed, from fractions of the gap back to logits."""
    test = next(test for test in result.patterns if test.head == address)
    return [estimate.value * GAP for estimate in (test.uniform, test.permuted, test.zeroed)]


def read(result: AttentionTestsResult, address: str) -> tuple[str, str]:
    test = next(test for test in result.patterns if test.head == address)
    return test.finding, test.sentence


def test_reaiming_the_primary_head_costs_more_than_taking_it_away(result: AttentionTestsResult) -> None:
    """Spread over eleven words it writes the answer and the foil alike: all of its 10 are lost. Dealt to another word,
    the median shuffle loses 10 too. Either way its flag still keeps the backup asleep; taken away, 8 of the 10 come back."""
    even, dealt, zero = logits(result, "L1.H0")
    assert even == pytest.approx(PRIMARY, abs=0.05)
    assert dealt == pytest.approx(PRIMARY, abs=1.5)
    assert zero == pytest.approx(PRIMARY - BACKUP, abs=0.05)
    finding, sentence = read(result, "L1.H0")
    assert finding == "matters"
    assert "this attention pattern matters" in sentence


def test_the_negative_heads_pattern_matters_the_other_way(result: AttentionTestsResult) -> None:
    even, dealt, zero = logits(result, "L1.H3")
    assert [even, zero] == pytest.approx([NEGATIVE, NEGATIVE], abs=0.05)
    assert dealt == pytest.approx(NEGATIVE, abs=0.6)
    assert read(result, "L1.H3")[0] == "matters"


@pytest.mark.parametrize("decoy", ["L1.H1", "L1.H2", "L0.H2"])
def test_a_decoys_pattern_is_irrelevant(decoy: str, result: AttentionTestsResult) -> None:
    assert logits(result, decoy) == pytest.approx([0, 0, 0], abs=1e-3)
    finding, sentence = read(result, decoy)
    assert finding == "irrelevant"
    assert CAVEAT in sentence


def test_a_diffuse_heads_pattern_is_irrelevant_and_the_head_decides(planted: TransformerSubject) -> None:
    """Its attention is even already, so neither way of re-aiming can change it. Of five letters, three for the answer,
    in seven tokens it writes 20 · (3 − 2) / 7, all of which goes with it; the gap is twice that."""
    words = ["".join(word) for word in product("AB", repeat=5)]
    clean, other = ([w for w in words if w.count("A") == count][:10] for count in (3, 2))
    pairs = [(a, b) for a, b in zip(clean * 2, [*other, *other[1:], other[0]], strict=True)]
    votes = tokenise(make_votes(*pairs, n_templates=5), planted.tokenizer)
    result = ask(planted, votes, heads=(head(0, 1), head(0, 2)), shuffles=2, shuffled_from=(2,))
    diffuse = result.patterns[0]
    assert result.clean.value == pytest.approx(VOTE / 7, abs=0.01)
    assert [diffuse.uniform.value, diffuse.permuted.value] == pytest.approx([0, 0], abs=1e-4)
    assert diffuse.zeroed.value == pytest.approx(0.5, abs=0.01)
    assert diffuse.finding == "irrelevant"
    assert CAVEAT in diffuse.sentence
    assert "This head's output does" in diffuse.sentence
    assert "output does" not in result.patterns[1].sentence


def test_nothing_here_is_a_verdict(result: AttentionTestsResult) -> None:
    """A sibling of T8: taking away where a head looks supports no claim, however much it costs."""
    text = json.dumps(dump_result(result)).lower()
    assert not [word for word in ("supported", "negligible", "reversed", "relies on", "because") if word in text]


def test_views_and_causal_maps_are_compared_and_never_added_up(result: AttentionTestsResult) -> None:
    """Attention on the answer is the same for the cause and two decoys; the gradient tells them apart."""
    found = {(c.view, c.over): c for c in result.comparisons}
    assert set(found) == {
        ("attention mass on the answer token", "heads"), ("attention mass on the first changed token", "heads"),
        ("gradient × attention", "heads"), ("raw_attention", "tokens"), ("rollout", "tokens"), ("flow", "tokens"),
        ("gradient_attention", "tokens"),
    }  # fmt: skip
    for comparison in result.comparisons:
        assert comparison.prompts.startswith("induction")
        assert comparison.estimate is not None
        assert comparison.estimate.unit == "Spearman ρ"
        assert comparison.estimate.n == MAX_PROMPTS == result.n
    rho = {view: c.estimate.value for (view, _), c in found.items() if c.estimate}
    assert rho["gradient × attention"] > rho["attention mass on the answer token"] + 0.2


def test_patterns_fail_weight_randomisation_by_construction(result: AttentionTestsResult) -> None:
    """T15: below the first shuffled layer nothing moves, while the answer is gone; the view that takes slopes moves."""
    middle, last = result.randomisations
    assert (middle.layer, last.layer) == (1, 2)
    for found in (middle, last):
        assert found.moved_below.value == pytest.approx(0, abs=1e-6)
        assert "fails weight randomisation by construction" in found.sentence
        assert f"shuffled from layer {found.layer} up" in found.model
        assert found.trained.value == pytest.approx(CLEAN_LOGIT, abs=0.05)
        assert abs(found.shuffled.value - CLEAN_LOGIT) > 1
    assert middle.moved_above is not None
    assert middle.moved_above.value > 0.1
    assert last.moved_above is None
    findings = {view.agreement.view: view for view in last.views}
    for view in ("raw_attention", "rollout", "flow", "attention mass on the answer token"):
        assert findings[view].finding == "fails"
        assert findings[view].agreement.estimate is not None
        assert findings[view].agreement.estimate.value == pytest.approx(1)
    gradients = findings["gradient_attention"].agreement.estimate
    assert gradients is not None
    assert gradients.high is not None
    assert gradients.high < 0.9, "it changes; on so sparse a model most tokens have none of it before and after"


def test_a_view_that_takes_gradients_depends_on_the_weights(load_planted: Callable[[str], Any]) -> None:
    """With background heads every token has some relevance, and another order without the weights."""
    subject = load_planted(INDUCTION.name)
    asked = tokenise(INDUCTION.find_task("query").make(3, 0), subject.tokenizer)
    (found,) = ask(subject, asked, heads=(head(1, 0),), shuffles=1, shuffled_from=(2,)).randomisations
    findings = {view.agreement.view: view.finding for view in found.views}
    assert found.has_collapsed
    assert findings["gradient_attention"] == "depends"
    assert findings["rollout"] == "fails"


VIEW = compare_tokens("v", [np.arange(5.0)] * 8, [np.array([3.0, 0, 4, 1, 2])] * 8, "s", list("abcdefgh"), seed=0)


@pytest.mark.parametrize("shuffled, finding", [(0.2, "depends"), (6.5, "not_shown")])
def test_a_view_depends_on_the_weights_only_if_the_answer_collapsed(shuffled: float, finding: str) -> None:
    """ρ of (0, 1, 2, 3, 4) with (3, 0, 4, 1, 2) is 0: 1 − 6 · (9 + 1 + 4 + 4 + 4) / (5 · 24) = −0.1."""
    said = np.full(8, 7.0), np.full(8, shuffled)
    found = read_randomisation(1, "m", said, np.zeros((3, 8)), [(VIEW, True)], list("abcdefgh"), seed=0)
    assert VIEW.estimate is not None
    assert VIEW.estimate.value == pytest.approx(-0.1)
    assert found.has_collapsed is (finding == "depends")
    assert found.views[0].finding == finding


def test_views_that_have_no_order_have_no_number() -> None:
    clusters = list("aabb")
    flat = compare_heads("v", np.ones((4, 4)), np.arange(16.0).reshape(4, 4), "s", clusters, seed=0)
    assert flat.estimate is None
    assert "order" in flat.no_estimate
    two = compare_heads("v", np.ones((2, 4)), np.ones((2, 4)), "s", clusters, seed=0)
    assert "3 needed" in two.no_estimate
    some = compare_tokens("v", [np.ones(3), *[np.arange(3.0)] * 3], [np.arange(3.0)] * 4, "s", clusters, seed=0)
    assert some.estimate is not None
    assert (some.estimate.n, some.estimate.value) == (3, pytest.approx(1))
    none = compare_tokens("v", [np.ones(3)], [np.arange(3.0)], "s", ["a"], seed=0)
    assert none.estimate is None


@pytest.mark.parametrize("part", [mlp(0), head(1, 0, -1), Component(1, Kind.PATTERN, 0), head(9, 0)])
def test_only_whole_heads_of_the_model_are_tested(
    part: Component, planted: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    with pytest.raises(ComponentRefused, match="not whole heads"):
        ask(planted, prompts, heads=(part,))


@pytest.mark.parametrize("shuffles", [0, 21])
def test_a_median_needs_a_shuffle_and_time_has_a_bound(shuffles: int, prompts: TokenisedPrompts) -> None:
    with pytest.raises(InterventionRefused, match="1 to 20"):
        AttentionTestsRequest(prompts, prompts, shuffles=shuffles)


def test_a_task_that_the_model_does_not_do_is_not_measured(planted: TransformerSubject) -> None:
    rows = make_induction(6, change="query").prompts
    turned = [type(row)(row.id, row.clean, row.corrupted, row.foil, row.answer, row.template) for row in rows]
    with pytest.raises(NotMeasured, match="only a task that the model does"):
        ask(planted, tokenise(PromptSet("turned", tuple(turned)), planted.tokenizer))


def test_few_prompts_leave_every_pattern_unresolved(planted: TransformerSubject, prompts: TokenisedPrompts) -> None:
    result = ask(planted, prompts.take(range(6)), heads=(head(1, 0),), shuffles=1, shuffled_from=(2,))
    assert result.patterns[0].finding == "unresolved"
    assert "fewer than 20 prompts" in result.patterns[0].sentence
    assert result.patterns[0].permuted.value > DELTA


def test_lengths_without_a_mean_are_left_out_and_said(planted: TransformerSubject, prompts: TokenisedPrompts) -> None:
    few = prompts.take(range(4))
    request = AttentionTestsRequest(few, few, (head(1, 0),), shuffles=1, shuffled_from=(2,))
    means = planted.capture_means(few.take([0]), kinds=request.kinds)
    result = get_plugin("audits", "attention_tests").run(planted, request, means=means, on_progress=no_progress)
    assert any("Tokens of 4 prompts" in text for text in result.not_tested)
    assert {c.over for c in result.comparisons} == {"heads"}
