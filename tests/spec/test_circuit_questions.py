"""Recomposition, rivals, transfer, stability, specificity and positions where the answer is known beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from toy.additive import AdditiveSubject, pair_up

from audit_core.audits import rival as rival_audit
from audit_core.audits.positions import PositionsRequest
from audit_core.audits.recomposition import RecompositionRequest
from audit_core.audits.rival import AlternativeCircuit, RivalRequest, _decide, _describe, make_rivals
from audit_core.audits.specificity import SpecificityRequest, _find_dissociation
from audit_core.audits.stability import StabilityRequest
from audit_core.audits.transfer import TransferRequest
from audit_core.circuits import OtherTask
from audit_core.circuits.circuit_search import KnownOrders
from audit_core.component import head, parse_components
from audit_core.errors import ClaimRefused, PromptRefused, Refused
from audit_core.intervention import Replacement
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts, is_exploratory
from audit_core.registry import get_plugin
from audit_core.stats.estimates import Estimate
from audit_core.stats.measurement import Conditions, Measurement
from audit_core.subject import no_progress
from audit_core.subjects.planted import find_planted

Load = Callable[[str], Any]


def ask(audit: str, subject: Any, request: Any) -> Any:
    return get_plugin("audits", audit).run(subject, request, means=None, on_progress=no_progress)


def make(load_planted: Load, name: str, task: str, n: int = 10) -> tuple[Any, TokenisedPrompts, TokenisedPrompts]:
    """A planted model, and both halves of a task's prompts."""
    model, subject = find_planted(name), load_planted(name)
    assert model is not None
    whole = tokenise(model.find_task(task).make(n, 0), subject.tokenizer)
    halves = [tuple(p for p in whole.pairs if is_exploratory(p.prompt) is half) for half in (True, False)]
    return subject, replace(whole, pairs=halves[0]), replace(whole, pairs=halves[1])


def test_parts_that_add_up_leave_no_interaction_and_what_is_left_out_is_left_over() -> None:
    """Worth 3, 2 and 1: a circuit of the first two keeps 5/6, loses 3/6 + 2/6, and leaves 1/6 over."""
    subject = AdditiveSubject({head(0, 0): 3.0, head(0, 1): 2.0, head(1, 2): 1.0})
    prompts = pair_up(subject)
    parts = (head(0, 1), head(0, 0))
    found = ask("recomposition", subject, RecompositionRequest(prompts, prompts, parts, replacement=Replacement.ZERO))
    assert [(p.component, round(p.lost.estimate.value, 6), round(p.put_back.estimate.value, 6)) for p in found.parts] == [
        ("L0.H0", 0.5, 0.5), ("L0.H1", 0.333333, 0.833333),
    ]  # fmt: skip
    assert found.lost_added_up.estimate.value == pytest.approx(5 / 6) == found.lost_together.estimate.value
    assert found.interaction.estimate.value == pytest.approx(0)
    assert found.left_over.estimate.value == pytest.approx(1 / 6)
    assert found.n_universe == 6


def test_a_redundant_pair_loses_together_what_neither_loses_alone(load_planted: Load) -> None:
    """Of two heads that each suffice neither is missed: the sum of single losses is near 0, the joint loss near 1."""
    subject, _, judged = make(load_planted, "planted-or", "query", 6)
    parts = parse_components("L1.H0 L1.H1")
    found = ask("recomposition", subject, RecompositionRequest(judged, judged, parts, replacement=Replacement.ZERO))
    assert found.lost_added_up.estimate.value < 0.2
    assert found.lost_together.estimate.value > 0.9
    assert found.interaction.is_beyond(0.5)


def test_of_a_redundant_pair_the_other_is_a_rival_that_keeps_as_much(load_planted: Load) -> None:
    """Two heads each pass on what the first finds: with it, either is a circuit."""
    subject, explored, judged = make(load_planted, "planted-or", "absence", 6)
    request = RivalRequest(
        judged,
        judged,
        parse_components("L0.H0 L1.H0"),
        replacement=Replacement.ZERO,
        explored=explored,
        method="greedy_pruning",
    )
    found = ask("rival", subject, request)
    assert found.circuit.sufficiency.estimate.value == pytest.approx(1, abs=0.05)
    keeps = {rival.components: rival.sufficiency.estimate.value for rival in found.rivals}
    assert keeps["L0.H0", "L1.H1"] == pytest.approx(1, abs=0.05)
    assert found.n_sufficient >= 1
    assert 'not "the" circuit' in found.sentence


def test_a_circuit_without_a_replacement_has_no_alternative(load_planted: Load) -> None:
    """The positive control of the one before: on the strict model no other heads carry the answer."""
    subject, explored, judged = make(load_planted, "planted-strict", "context", 6)
    request = RivalRequest(judged, judged, parse_components("L0.H0 L1.H0 L1.H3"), explored=explored)
    found = ask("rival", subject, request)
    assert found.n_sufficient == 0
    assert found.circuit.sufficiency.estimate.value == pytest.approx(1, abs=0.05)
    assert all(rival.jaccard < 0.5 for rival in found.rivals)


@pytest.mark.parametrize("size", [1, 2, 3, 6, 10])
def test_rivals_have_the_circuits_size_and_overlap_less_than_half(size: int) -> None:
    order = [head(layer, index) for layer in range(6) for index in range(5)]
    circuit = order[:size]
    found = make_rivals(circuit, order, seed=0)
    assert not found[0] & set(circuit)
    assert all(len(rival) == size for rival in found)
    assert all(len(rival & set(circuit)) / len(rival | set(circuit)) < 0.5 for rival in found)
    assert len(found) > 1 or size == 1


@pytest.mark.parametrize("distinct", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_rivals_overlap_as_much_as_the_constant_allows_and_no_more(
    size: int, distinct: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """s shared of k give s / (2k − s): one more than the mixes share would reach the bound."""
    monkeypatch.setattr(rival_audit, "DISTINCT", distinct)
    order = [head(layer, index) for layer in range(6) for index in range(5)]
    _, *mixes = make_rivals(order[:size], order, seed=0)
    shared = {len(mix & set(order[:size])) for mix in mixes} or {0}
    assert len(shared) == 1
    assert max(shared) / (2 * size - max(shared)) < distinct <= (max(shared) + 1) / (2 * size - max(shared) - 1)


def test_wiring_is_found_again_and_the_core_is_the_wiring(load_planted: Load) -> None:
    subject, explored, _ = make(load_planted, "planted-strict", "context", 8)
    found = ask("stability", subject, StabilityRequest(explored, explored, "exact", size=3))
    assert set(found.core) == {"L0.H0", "L1.H0", "L1.H3"} == set(found.found)
    assert found.jaccard == 1
    assert found.sentence.startswith("Found again")


def test_a_circuit_filled_up_with_idle_heads_is_not_found_again(load_planted: Load) -> None:
    """Three heads are wired; of six the other three are whatever noise put first."""
    subject, explored, _ = make(load_planted, "planted-strict", "context", 8)
    found = ask("stability", subject, StabilityRequest(explored, explored, "integrated_gradients", size=6))
    assert found.jaccard < 1
    assert set(found.core) < set(k.component for k in found.shares)
    assert "finds several circuits" in found.sentence or found.jaccard >= 0.8


def test_methods_without_scores_per_prompt_say_so(load_planted: Load) -> None:
    subject, explored, judged = make(load_planted, "planted-strict", "context", 4)
    with pytest.raises(Refused, match="gives no score per prompt"):
        ask("stability", subject, StabilityRequest(explored, explored, "random_order", size=3))
    with pytest.raises(Refused, match="gives no score per prompt"):
        request = TransferRequest(judged, judged, (head(1, 0),), explored=explored, method="random_order")
        ask("transfer", subject, request)


def test_wiring_transfers_to_every_template_and_an_idle_head_to_none(load_planted: Load) -> None:
    """The wiring is found without any one template; a head that does nothing keeps nothing on any."""
    subject, explored, judged = make(load_planted, "planted-strict", "context", 10)
    wired = parse_components("L0.H0 L1.H0 L1.H3")
    good = ask("transfer", subject, TransferRequest(judged, judged, wired, explored=explored))
    assert {frozenset(fold.components) for fold in good.folds} == {frozenset(map(str, wired))}
    assert min(e.value for e in good.found_elsewhere.estimates) == pytest.approx(1, abs=0.05)
    idle = ask("transfer", subject, TransferRequest(judged, judged, (head(0, 1),), explored=explored))
    assert max(e.value for e in idle.named.estimates) < 0.1
    assert idle.named.worst is not None


def test_an_order_is_looked_for_once_and_never_taken_for_another(load_planted: Load, monkeypatch: Any) -> None:
    subject, explored, judged = make(load_planted, "planted-strict", "context", 4)
    method, looked = get_plugin("circuit_discovery", "exact"), []
    original = type(method).order

    def order(self: Any, *asked: Any, **how: Any) -> Any:
        looked.append(asked[1].replacement)
        return original(self, *asked, **how)

    monkeypatch.setattr(type(method), "order", order)
    wired = parse_components("L0.H0 L1.H0 L1.H3")
    requests = [TransferRequest(judged, judged, wired, explored=explored, seed=9), RivalRequest(judged, judged, wired, explored=explored, seed=9)]  # fmt: skip
    other = replace(requests[0], replacement=Replacement.ZERO)
    fewer = replace(requests[0], explored=replace(explored, pairs=explored.pairs[:-1]))
    with KnownOrders().lend():
        for request in requests:
            ask(type(request).__name__.removesuffix("Request").lower(), subject, request)
        assert looked == [Replacement.RESAMPLE]
        ask("transfer", subject, other)
        ask("transfer", subject, fewer)
    assert looked == [Replacement.RESAMPLE, Replacement.ZERO, Replacement.RESAMPLE]


def test_prompts_that_were_not_given_or_belong_to_the_wrong_split_are_refused(load_planted: Load) -> None:
    subject, explored, judged = make(load_planted, "planted-strict", "context", 4)
    with pytest.raises(PromptRefused, match="No prompts for circuit discovery"):
        ask("rival", subject, RivalRequest(judged, judged, (head(1, 0),)))
    with pytest.raises(PromptRefused, match="confirmatory split"):
        ask("rival", subject, RivalRequest(explored, explored, (head(1, 0),), explored=judged))
    with pytest.raises(ClaimRefused, match="A circuit of 40"):
        ask("stability", subject, StabilityRequest(explored, explored, "exact", size=40))


class TwoTasks(AdditiveSubject):
    """The first head carries prompts whose text begins with "good one", the second all others."""

    def _answer(self, pair: Any, intervention: Any, means: Any) -> float:
        mine = self.worth
        part = head(0, 0) if pair.prompt.group == "one" else head(0, 1)
        self.worth = {part: 4.0}
        try:
            return super()._answer(pair, intervention, means)
        finally:
            self.worth = mine


def test_two_tasks_with_a_head_each_are_doubly_dissociated_and_one_head_for_both_is_shared() -> None:
    subject: Any = TwoTasks({head(0, 0): 4.0, head(0, 1): 4.0})
    own, other = (group_prompts(pair_up(subject), name) for name in ("one", "two"))
    request = SpecificityRequest(
        own, own, (head(0, 0),), replacement=Replacement.ZERO, others=(OtherTask(other, (head(0, 1),)),)
    )
    found = ask("specificity", subject, request)
    (task,) = found.tasks
    assert task.finding.startswith("Double dissociation")
    assert task.is_apart
    assert (found.own.estimate.value, task.lost.estimate.value) == (1, 0)
    half = ask("specificity", subject, replace(request, others=(OtherTask(other),)))
    assert "a single dissociation" in half.tasks[0].finding
    shared = AdditiveSubject({head(0, 0): 4.0})
    both = ask("specificity", shared, request)
    assert both.tasks[0].finding.startswith("Shared")
    assert both.tasks[0].is_apart is False


def test_a_task_that_loses_nothing_has_no_dissociation_even_where_another_gains(monkeypatch: Any) -> None:
    """Own loss 0 and the other task better off by half: the difference is large, and nothing is dissociated."""
    subject: Any = TwoTasks({head(0, 0): 4.0, head(0, 1): 4.0})
    own, other = (group_prompts(pair_up(subject), name) for name in ("one", "two"))
    request = SpecificityRequest(own, own, (head(1, 1),), replacement=Replacement.ZERO, others=(OtherTask(other),))
    (task,) = ask("specificity", subject, request).tasks
    assert task.is_apart is None
    gained = _find_dissociation(
        "other", *(measure(*ends) for ends in ((-0.05, 0.05), (-0.6, -0.4), (0.4, 0.6))), None, False
    )
    assert gained == (None, "Unresolved against other: no difference of 0.1 of the gap was shown.")
    vague = _find_dissociation(
        "other", *(measure(*ends) for ends in ((0.6, 0.8), (0.2, 0.4), (0.05, 0.75))), None, False
    )
    assert vague[0] is None
    alike = _find_dissociation(
        "other", *(measure(*ends) for ends in ((0.6, 0.8), (0.6, 0.8), (-0.05, 0.05))), None, False
    )
    assert alike[0] is False


def measure(low: float, high: float) -> Measurement:
    conditions = Conditions("nodes", "head", "zero", "all", "noising", "circuit taken away")
    return Measurement(Estimate((low + high) / 2, low, high, 72, "u", 0.95, 12), conditions)


def test_a_counterpart_that_is_not_in_the_model_is_refused_and_never_skipped() -> None:
    subject = AdditiveSubject({head(0, 0): 4.0})
    own = pair_up(subject)
    request = SpecificityRequest(own, own, (head(0, 0),), others=(OtherTask(own, (head(9, 9),)),))
    with pytest.raises(ClaimRefused, match="L9.H9"):
        ask("specificity", subject, request)


def test_a_circuit_of_most_of_the_model_leaves_no_room_for_a_rival(load_planted: Load) -> None:
    subject, explored, judged = make(load_planted, "planted-strict", "context", 4)
    most = tuple(head(layer, index) for layer in range(2) for index in range(5))
    with pytest.raises(ClaimRefused, match="at most half of the universe"):
        ask("rival", subject, RivalRequest(judged, judged, most, explored=explored))


def test_a_rival_whose_interval_reaches_across_is_not_known_to_be_none(load_planted: Load) -> None:
    own, near, far = (
        AlternativeCircuit(("L0.H0",), 0.0, measure(0.5, 0.6), measure(*ends))
        for ends in ((0.9, 1.1), (0.7, 1.1), (0.1, 0.2))
    )
    assert _decide(own, [far]) is True
    assert _decide(own, [far, near]) is None
    assert _decide(own, [far, own]) is False
    assert _decide(far, [far]) is None
    assert "1 unresolved" in _describe(own, [far, near])
    assert "was not shown to keep" in _describe(near, [far])


def group_prompts(prompts: TokenisedPrompts, name: str) -> TokenisedPrompts:
    pairs = tuple(replace(p, prompt=replace(p.prompt, group=name)) for p in prompts.pairs)
    return replace(prompts, name=name, pairs=pairs)


def test_a_task_that_the_model_does_not_do_is_named_and_has_no_number() -> None:
    subject = AdditiveSubject({head(0, 0): 4.0}, level=lambda text: 1.0 if text.startswith("good") else -1.0)
    own = group_prompts(pair_up(subject), "one")
    turned = replace(own, name="turned", pairs=tuple(replace(p, prompt=replace(p.prompt, clean=p.prompt.corrupted, corrupted=p.prompt.clean), clean_ids=p.corrupted_ids, corrupted_ids=p.clean_ids) for p in own.pairs))  # fmt: skip
    request = SpecificityRequest(own, own, (head(0, 0),), replacement=Replacement.ZERO, others=(OtherTask(turned),))
    found = ask("specificity", subject, request)
    assert not found.tasks
    assert "prefers the answer on 0 %" in found.untested["turned"] or "0%" in found.untested["turned"]


def test_a_head_acts_at_the_token_where_its_wiring_reads(load_planted: Load) -> None:
    """The induction head reads at the last token; the previous-token head writes where the answer stood."""
    subject, _, judged = make(load_planted, "planted-strict", "context", 4)
    one = replace(judged, pairs=judged.pairs[:1])
    found = ask("positions", subject, PositionsRequest(one, one, parse_components("L0.H0 L1.H0")))
    main = {place.component: place for place in found.main}
    last = len(one.pairs[0].clean_ids) - 1
    assert main["L1.H0"].position == last
    assert main["L0.H0"].position < last
    elsewhere = [abs(p.effect.estimate.value) for p in found.places if p.component == "L1.H0" and p.position != last]
    assert max(elsewhere) < 0.01 < abs(main["L1.H0"].effect.estimate.value)
    with pytest.raises(PromptRefused, match="one: positions"):
        ask("positions", subject, PositionsRequest(judged, judged, parse_components("L1.H0")))
