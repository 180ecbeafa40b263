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
from audit_core.explanations.grades import grade_method
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
class Against(LastFirst):
    """Says of every token that it acts against the answer."""

    name: str = "against"
    is_signed: bool = True

    def score(self, task: Task, *, seed: int) -> Scores:
        return Scores(tuple(-np.ones(len(units)) for units in task.units))


@pytest.fixture(scope="module")
def votes(load_planted: Callable[[str], Any]) -> TokenisedPrompts:
    model = find_planted("planted-strict")
    assert model is not None
    return tokenise(model.find_task("vote").make(4, 0), load_planted("planted-strict").tokenizer)


@pytest.fixture
def ask(
    load_planted: Callable[[str], Any], votes: TokenisedPrompts, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Mapping[str, Any]], ExplanationsResult]:
    """Run the trial with these methods beside occlusion."""

    def run(methods: Mapping[str, Any]) -> ExplanationsResult:
        chosen = {**methods, "occlusion": get_plugin("attributions", "occlusion")}
        monkeypatch.setattr(explanations, "list_plugins", lambda shelf: chosen)
        request = ExplanationsRequest(votes, votes)
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
    ask: Callable[[Mapping[str, Any]], ExplanationsResult],
) -> None:
    found = ask({"last_first": LastFirst()})
    assert grades(found)["last_first"] == Grade.FAILS
    by_name = {row.method: row for row in found.methods}
    assert by_name["last_first"].randomised is not None
    assert by_name["last_first"].randomised.value == pytest.approx(1)


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
    assert grade_method(deletion, insertion, randomised, repeated) is expected
