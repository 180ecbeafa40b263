"""The common trial on planted models: what its grades must and must not say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from audit_core.audits import explanations
from audit_core.audits.explanations import PLUGIN, ExplanationsRequest
from audit_core.errors import NotMeasured
from audit_core.evidence.kind import Evidence
from audit_core.explanations import Grade, Scores, Task
from audit_core.explanations.curves import count_units, draw_orders, rank_units
from audit_core.explanations.grades import Sanity, grade_method
from audit_core.explanations.nearby import measure_shift
from audit_core.explanations.results import ExplanationsResult
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.stats.estimates import Estimate
from audit_core.subjects.planted import find_planted

pytestmark = pytest.mark.usefixtures("short_draws")


@dataclass(frozen=True)
class LastFirst:
    """Scores by place alone: it never asks the model anything."""

    name: str = "last_first"
    title: str = "Last first"
    question: str = "Which token is last?"
    assumes: str = "Nothing."
    costs: str = "Nothing."
    evidence: Evidence = Evidence.OBSERVATIONAL
    is_signed: bool = False
    is_random: bool = False
    check: str = ""
    demands: tuple[Any, ...] = ()

    def score(self, task: Task, *, seed: int) -> Scores:
        return Scores(tuple(np.arange(len(units), dtype=float) for units in task.units))


@dataclass(frozen=True)
class Costly(LastFirst):
    """Scores by the tokens themselves, which takes long."""

    name: str = "costly"
    is_costly: bool = True

    def score(self, task: Task, *, seed: int) -> Scores:
        return Scores(
            tuple(
                np.argsort(pair.clean_ids[-len(u) :]).astype(float) for pair, u in zip(task.prompts.pairs, task.units)
            )
        )


@dataclass(frozen=True)
class Against(LastFirst):
    """Says of every token that it acts against the answer."""

    name: str = "against"
    is_signed: bool = True

    def score(self, task: Task, *, seed: int) -> Scores:
        return Scores(tuple(-np.ones(len(units)) for units in task.units))


@dataclass(frozen=True)
class Erratic(LastFirst):
    """Scores drawn again for every text and answer: no seed, and no agreement between two prompts that differ in one token."""

    name: str = "erratic"
    is_signed: bool = True

    def score(self, task: Task, *, seed: int) -> Scores:
        clean = task.measure([np.ones((1, len(units)), bool) for units in task.units])
        return Scores(
            tuple(
                np.random.default_rng([*pair.clean_ids, int(abs(value[0]) * 1e3)]).normal(size=len(units))
                for pair, units, value in zip(task.prompts.pairs, task.units, clean, strict=True)
            )
        )


@dataclass(frozen=True)
class HalfOf(LastFirst):
    """Occlusion's order, with scores that add up to three quarters of what they divide."""

    name: str = "half_of"
    is_signed: bool = True

    def score(self, task: Task, *, seed: int) -> Scores:
        found = get_plugin("attributions", "occlusion").score(task, seed=seed)
        return Scores(found.values, missed=tuple(0.25 for _ in found.values))


@pytest.fixture(scope="module")
def votes(load_planted: Callable[[str], Any]) -> TokenisedPrompts:
    model = find_planted("planted-strict")
    assert model is not None
    return tokenise(model.find_task("vote").make(3, 0), load_planted("planted-strict").tokenizer)


@pytest.fixture(scope="module")
def queries(load_planted: Callable[[str], Any]) -> TokenisedPrompts:
    """Most tokens of these prompts are read by nothing, so that every prompt has neighbours."""
    model = find_planted("planted-strict")
    assert model is not None
    return tokenise(model.find_task("query").make(3, 0), load_planted("planted-strict").tokenizer)


@pytest.fixture
def ask(
    load_planted: Callable[[str], Any], votes: TokenisedPrompts, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ExplanationsResult]:
    """Run the trial with these methods beside occlusion."""

    def run(methods: Mapping[str, Any], prompts: TokenisedPrompts = votes) -> ExplanationsResult:
        chosen = {**methods, "occlusion": get_plugin("attributions", "occlusion")}
        monkeypatch.setattr(explanations, "list_plugins", lambda shelf: chosen)
        request = ExplanationsRequest(prompts, prompts)
        return PLUGIN.run(load_planted("planted-strict"), request, means=None, on_progress=lambda done, total: None)

    return run


def grades(found: ExplanationsResult) -> dict[str, str]:
    return {row.method: row.grade for row in found.methods}


def test_attention_to_tokens_that_nothing_reads_gets_no_grade_above_random(
    ask: Callable[[Mapping[str, Any]], ExplanationsResult],
) -> None:
    """Two heads attend to the token before "=", and write what nothing reads; each letter votes with equal attention."""
    found = ask({name: get_plugin("attributions", name) for name in ("attention", "rollout")})
    assert grades(found)["occlusion"] == Grade.BEATS
    assert Grade.BEATS not in (grades(found)["attention"], grades(found)["rollout"])
    by_name = {row.method: row for row in found.methods}
    assert (
        (by_name["attention"].comprehensiveness_gain.low or 0)
        < 0
        < (by_name["occlusion"].comprehensiveness_gain.low or 0)
    )


def test_scores_that_do_not_depend_on_the_weights_fail_randomisation(
    ask: Callable[[Mapping[str, Any]], ExplanationsResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A costly method on fewer prompts, whose number is stated; scores differ between prompts, so each must be with its own."""
    monkeypatch.setattr("audit_core.explanations.trial.SANITY_OF_COSTLY", 7)
    found = ask({"last_first": LastFirst(), "costly": Costly()})
    by_name = {row.method: row for row in found.methods}
    for name, n in (("last_first", 20), ("costly", 7)):
        assert grades(found)[name] == Grade.FAILS
        randomised = by_name[name].randomised
        assert randomised is not None
        assert randomised.value == pytest.approx(1)
        assert randomised.n == n


def test_scores_that_change_with_a_token_that_leaves_the_answer_are_unstable(
    ask: Callable[..., ExplanationsResult], queries: TokenisedPrompts
) -> None:
    """Two independent normal vectors are √2 lengths apart; no seed enters, so that only neighbours can show it."""
    found = {row.method: row for row in ask({"erratic": Erratic()}, queries).methods}
    erratic, measured = found["erratic"], found["occlusion"]
    assert erratic.grade == Grade.UNSTABLE
    assert erratic.repeated is None
    assert erratic.local is not None
    assert 1 < erratic.local.value < 3
    assert measured.grade == Grade.BEATS
    assert measured.local_excess is not None
    assert measured.local_excess.value == 0
    assert measured.local is not None
    assert measured.local.value < 0.1
    assert erratic.local.n == 10


def test_completeness_and_faithfulness_are_estimates_that_a_policy_can_read(
    ask: Callable[[Mapping[str, Any]], ExplanationsResult],
) -> None:
    """The gain in fractions of the gap is the gain in logits over the gap in logits: a ratio of means over the same prompts."""
    found = ask({"half_of": HalfOf()})
    row = next(one for one in found.methods if one.method == "half_of")
    assert row.completeness is not None
    assert (row.completeness.value, row.completeness.n) == (0.25, found.n)
    assert row.faithfulness is not None
    gap = found.clean.value - found.replaced.value
    assert row.faithfulness.value == pytest.approx(row.comprehensiveness_gain.value / gap)
    assert row.faithfulness.level == found.level
    sheets = {sheet.name: sheet for sheet in PLUGIN.rows(found)}
    assert len(sheets["faithfulness"].rows) == len(sheets["local stability"].rows) == 2
    assert [cells[:2] for cells in sheets["completeness"].rows] == [(row.title, 0.25)]
    assert (row.faithfulness.low or 0) > 0
    assert next(one for one in found.methods if one.method == "occlusion").completeness is None


def test_a_shift_leaves_the_replaced_unit_out_and_has_no_value_for_scores_of_zero() -> None:
    """(3, 4) to (0, 0) is one length; the third unit was replaced, and its own score may be anything."""
    assert measure_shift(np.array([3.0, 4.0, 7.0]), np.array([0.0, 0.0, -7.0]), 2) == pytest.approx(1)
    assert measure_shift(np.array([0.0, 0.0, 7.0]), np.array([1.0, 1.0, 1.0]), 2) is None


def test_scores_over_the_set_that_contradict_the_effect_of_the_same_units_are_named(
    ask: Callable[[Mapping[str, Any]], ExplanationsResult],
) -> None:
    """Letters vote for the answer, so that replacing all of them costs it; this method says that they act against it."""
    found = ask({"against": Against()})
    effects = {row.unit_class: row.effect for row in found.classes}
    assert (effects["repeated"].low or 0) > 0
    shares = {(row.method, row.unit_class): row for row in found.class_scores}
    assert (shares["against", "repeated"].share.high or 0) < 0
    named = {(row.method, row.kind, row.first) for row in found.conflicts}
    assert ("against", "sign", "repeated") in named
    assert not {method for method, _, _ in named} - {"against"}
    assert all(row.spread is not None for row in found.class_scores)


def test_a_model_with_randomised_weights_is_not_tried_at_all(
    load_planted: Callable[[str], Any], votes: TokenisedPrompts
) -> None:
    other = load_planted("planted-strict").randomised(0, seed=0)
    with pytest.raises(NotMeasured) as refused:
        PLUGIN.run(other, ExplanationsRequest(votes, votes), means=None, on_progress=lambda done, total: None)
    assert refused.value.reason == "model_fails_task"


def test_shares_add_up_and_random_orders_come_with_their_reverse() -> None:
    for n in range(3, 30):
        few, middle, most = count_units(n)
        assert 1 <= few <= middle <= most < n
        assert few + most == n
    orders = draw_orders([5, 9], seed=0)
    assert len(orders) >= 19
    for drawn, reverse in zip(orders[::2], orders[1::2], strict=True):
        assert [list(order[::-1]) for order in drawn] == [list(order) for order in reverse]


def test_equal_scores_give_no_order_by_place() -> None:
    assert list(rank_units(np.array([1.0, 3.0, 2.0]), seed=0)) == [1, 2, 0]
    assert len({tuple(rank_units(np.zeros(6), seed=seed)) for seed in range(8)}) > 4


def make(value: float, spread: float = 0.1, n: int = 40, templates: int = 8) -> Estimate:
    return Estimate(value, value - spread, value + spread, n, "logits", 0.95, templates)


@pytest.mark.parametrize(
    ("deletion", "insertion", "randomised", "repeated", "expected"),
    [
        (make(1), make(0), make(0), make(0.9), Grade.BEATS),
        (make(1), make(-1), make(0), None, Grade.NO_BETTER),
        (make(0), make(1), make(0), None, Grade.NO_BETTER),
        (make(-1), make(1), make(0), None, Grade.WORSE),
        (make(1), make(1), make(0.6), make(0.9), Grade.FAILS),
        (make(1), make(1), make(0.45), None, Grade.NOT_JUDGED),
        (make(1), make(1), make(0), make(0.3), Grade.UNSTABLE),
        (make(1), make(1), make(0), make(0.55), Grade.NOT_JUDGED),
        (make(1), make(1), None, None, Grade.BEATS),
        (make(1, n=19), make(1), make(0), None, Grade.NOT_JUDGED),
        (make(1, templates=4), make(1), make(0), None, Grade.NOT_JUDGED),
    ],
)
def test_a_grade_reads_sanity_first_and_then_both_curves(
    deletion: Estimate, insertion: Estimate, randomised: Estimate | None, repeated: Estimate | None, expected: Grade
) -> None:
    assert grade_method(deletion, insertion, Sanity(randomised, repeated)) is expected


@pytest.mark.parametrize(
    ("local", "excess", "expected"),
    [
        (make(1.5), make(1), Grade.UNSTABLE),
        (make(1.5), make(-0.2), Grade.BEATS),
        (make(1.05), make(1), Grade.NOT_JUDGED),
        (make(1.5), make(0.05), Grade.NOT_JUDGED),
        (make(0.5), make(0.4), Grade.BEATS),
        (None, None, Grade.BEATS),
    ],
)
def test_a_method_is_blamed_for_shifts_beyond_its_scores_length_and_beyond_the_models_own(
    local: Estimate | None, excess: Estimate | None, expected: Grade
) -> None:
    sanity = Sanity(make(0), None, local, excess)
    assert grade_method(make(1), make(1), sanity) is expected
