"""The audit of experts on mixtures whose wiring is known; the roles stand in `subjects/planted/mixture.py`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from audit_core import open_subject
from audit_core.audits import ExpertsRequest, ExpertsResult
from audit_core.calibration import quote_calibration
from audit_core.component import Kind, parse_component
from audit_core.errors import CapabilityRefused, NotMeasured, Refused
from audit_core.judging.slots import find_slots
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.routing import count_pairs, measure_layers
from audit_core.subject import TokenRouting, no_progress
from audit_core.subjects.planted import find_planted

N_PER_TEMPLATE = 4
Audit = Callable[..., ExpertsResult]


@pytest.fixture(scope="module")
def open_planted() -> Callable[[str], tuple[Any, TokenisedPrompts]]:
    @cache
    def opened(name: str) -> tuple[Any, TokenisedPrompts]:
        subject, planted = open_subject(name), find_planted(name)
        assert planted is not None
        return subject, tokenise(planted.tasks[0].make(N_PER_TEMPLATE, 0), subject.tokenizer)

    return opened


@pytest.fixture(scope="module")
def audit(open_planted: Callable[[str], tuple[Any, TokenisedPrompts]]) -> Audit:
    @cache
    def run(name: str, *, at_answer: bool = False) -> ExpertsResult:
        subject, prompts = open_planted(name)
        request = ExpertsRequest(prompts, prompts, at_answer)
        means = subject.capture_means(prompts, kinds=request.kinds)
        found: ExpertsResult = get_plugin("audits", "experts").run(
            subject, request, means=means, on_progress=no_progress
        )
        return found

    return run


def rows(result: ExpertsResult) -> dict[str, Any]:
    return {row.component: row for row in result.experts}


def test_the_busiest_and_the_favourite_expert_do_nothing_and_the_answer_is_written_by_another(audit: Audit) -> None:
    found = rows(audit("planted-mixture"))
    assert max(found.values(), key=lambda row: row.load.value).component == "L0.E0"
    assert found["L0.E3"].weight.value > found["L0.E5"].weight.value > 0
    assert {name: row.reading for name, row in found.items() if name.startswith("L0")} == {
        "L0.E0": "within δ", "L0.E1": "within δ", "L0.E2": "within δ", "L0.E3": "within δ", "L0.E5": "above δ",
        "L0.E4": "not routed", "L0.E6": "not routed", "L0.E7": "not routed",
    }  # fmt: skip
    assert found["L0.E5"].effects["zero"].value == pytest.approx(7.0, abs=0.05)


def test_a_mask_of_the_favourite_is_all_routing_and_its_three_parts_add_up(audit: Audit) -> None:
    """methods 2.20: +0.0001, +12.01 and +5.59 logits in favour of the answer, 17.61 together."""
    split = rows(audit("planted-mixture"))["L0.E3"].split
    parts = [split.output_removed.value, split.survivors_reweighted.value, split.newcomer.value]
    assert parts == pytest.approx([0.0, -12.01, -5.59], abs=0.05)
    assert sum(parts) == pytest.approx(split.whole.value, abs=1e-4)


def test_an_expert_without_tokens_is_a_finding_of_its_own_and_not_a_zero(audit: Audit) -> None:
    result = audit("planted-mixture")
    backup = rows(result)["L0.E6"]
    assert (backup.slots, backup.effects, backup.fractions, backup.split) == (0, {}, {}, None)
    assert "L0.E6" not in [name for group in (*result.pairs, *result.whole_layers) for name in group.components]


def test_two_experts_that_replace_each_other_are_found_as_a_pair(audit: Audit) -> None:
    result = audit("planted-mixture-or")
    found = rows(result)
    assert (found["L0.E3"].reading, found["L0.E5"].reading) == ("within δ", "within δ")
    pair = next(pair for pair in result.pairs if pair.components == ("L0.E3", "L0.E5"))
    assert pair.reading == "above δ"
    assert pair.interaction is not None
    assert pair.interaction.value == pytest.approx(pair.effects["zero"].value, abs=0.05)


def test_at_the_answer_position_only_its_tokens_count(audit: Audit) -> None:
    result = audit("planted-mixture", at_answer=True)
    found = rows(result)
    assert {pair.components: pair.tokens_together for pair in result.pairs}["L0.E3@-1", "L0.E5@-1"] == result.n
    assert all(group.tokens_together == result.n for group in (*result.whole_layers, *result.pairs[:1]))
    n = audit("planted-mixture").n
    assert (found["L0.E5@-1"].slots, found["L0.E5@-1"].n_tokens) == (n, n)
    assert found["L0.E0@-1"].reading == "not routed"
    assert found["L0.E5@-1"].reading == "above δ"


def test_the_mean_of_an_expert_is_over_its_own_tokens_or_over_all_if_it_has_none(
    open_planted: Callable[[str], tuple[Any, TokenisedPrompts]],
) -> None:
    """L0.E5 writes for the asked word alone, L0.E6 would write for it and receives nothing: one of the 8 tokens of a prompt."""
    subject, prompts = open_planted("planted-mixture")
    means = subject.capture_means(prompts, kinds=[Kind.EXPERT])
    (length,) = {len(pair.clean_ids) for pair in prompts.pairs}
    found = means.activations[length, ""][Kind.EXPERT][0]
    carrier, backup = (np.abs(found[expert]).sum() for expert in (5, 6))
    assert backup / carrier == pytest.approx(0.8 / length, rel=0.01)


def test_a_dense_model_is_refused(open_planted: Callable[[str], tuple[Any, TokenisedPrompts]]) -> None:
    subject, prompts = open_planted("planted-induction")
    with pytest.raises(CapabilityRefused, match="no accessible expert"):
        get_plugin("audits", "experts").run(
            subject, ExpertsRequest(prompts, prompts), means=None, on_progress=no_progress
        )
    assert subject.components(Kind.EXPERT) == ()


def test_a_smallest_effect_that_is_no_fraction_is_refused(
    open_planted: Callable[[str], tuple[Any, TokenisedPrompts]],
) -> None:
    subject, prompts = open_planted("planted-mixture")
    with pytest.raises(Refused, match="smallest effect of -1"):
        get_plugin("audits", "experts").run(
            subject, ExpertsRequest(prompts, prompts, delta=-1.0), means=None, on_progress=no_progress
        )


def route(*tokens: tuple[int, int]) -> TokenRouting:
    """One layer; each token goes to two experts with weights 0.75 and 0.25."""
    index = np.array([tokens])
    return TokenRouting((0,), index, np.broadcast_to(np.float32([0.75, 0.25]), index.shape).copy())


def test_routing_statistics_worked_out_by_hand() -> None:
    """Two prompts of two tokens: (0, 1), (0, 2) and (0, 1), (1, 2). Of eight choices three are 0, three 1, two 2.

    Entropy of the load: −2 · 3/8 ln 3/8 − 1/4 ln 1/4 = 1.0822. Of the weights at a token: 0.5623. Mass: 0: 2.25, 1: 1.25,
    2: 0.5 of 4, so 0 and 1 are the smallest set with 70 %. The corrupted run of the first prompt changes one of its four
    choices and of the second none: 1 of 8. 0 and 1 are chosen together twice.
    """
    clean = [route((0, 1), (0, 2)), route((0, 1), (1, 2))]
    corrupted = [route((1, 0), (0, 1)), clean[1]]
    (found,) = measure_layers(clean, corrupted, ("a", "b"), 3, seed=0)
    assert found.load_entropy == pytest.approx(1.0822, abs=1e-4)
    assert found.weight_entropy.value == pytest.approx(0.5623, abs=1e-4)
    assert found.committee == (0, 1)
    assert found.changed.value == pytest.approx(1 / 8)
    assert count_pairs(clean, 0, 3).tolist() == [[0, 2, 1], [2, 0, 1], [1, 1, 0]]


def test_information_on_the_template_is_found_where_there_is_some_and_not_where_there_is_none() -> None:
    rng = np.random.default_rng(0)
    sent = [route(*[(0, 1) if at % 2 else (2, 3)] * 6) for at in range(40)]
    mixed = [route(*(tuple(rng.permutation(4)[:2]) for _ in range(6))) for _ in range(40)]
    templates = tuple("ab"[at % 2] for at in range(40))
    (informed,), (silent,) = (measure_layers(one, one, templates, 4, seed=0) for one in (sent, mixed))
    assert informed.template_information == pytest.approx(np.log(2), abs=0.02)
    assert informed.template_p == 1 / 200
    assert silent.template_p is not None
    assert silent.template_p > 0.05


def test_a_claim_about_an_expert_without_tokens_is_not_tested(
    open_planted: Callable[[str], tuple[Any, TokenisedPrompts]],
) -> None:
    subject, prompts = open_planted("planted-mixture")
    with pytest.raises(NotMeasured, match=r"not_routed: the router sends 0 of .* to L0\.E6"):
        find_slots(subject, prompts, [parse_component("L0.E6")])
    assert find_slots(subject, prompts, [parse_component("L0.H0")]) is None


def test_no_error_rate_of_heads_is_quoted_beside_a_verdict_on_an_expert() -> None:
    assert "not for experts" in quote_calibration(["L3.E5"])
    assert "used components supported" in quote_calibration(["L3.H5"])
