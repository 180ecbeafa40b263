"""The audit of experts on mixtures whose wiring is known; the roles stand in `subjects/planted/mixture.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from toy.prompts import tokenise_letters

from audit_core import open_subject
from audit_core.audits import ExpertsRequest, ExpertsResult
from audit_core.calibration import quote_calibration
from audit_core.component import Kind, parse_component, parse_components
from audit_core.errors import CapabilityRefused, ComponentRefused, ControlFailed, NotMeasured, Refused
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Direction, Replacement, intervene
from audit_core.judging.loads import find_loads
from audit_core.mixture.finding import describe_strongest
from audit_core.mixture.weights import FACTORS, read_curve
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.routing import count_pairs, measure_layers
from audit_core.routing.information import measure_token_information
from audit_core.subject import TokenRouting, no_progress
from audit_core.subjects.planted import find_planted

N_PER_TEMPLATE = 3
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
    def run(name: str, *, at_answer: bool = False, force: str = "", weigh: str = "") -> ExpertsResult:
        subject, prompts = open_planted(name)
        forced, weighed = (parse_components(words) if words else () for words in (force, weigh))
        request = ExpertsRequest(prompts, prompts, at_answer, force=forced, weigh=weighed)
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


def test_an_effect_that_rounds_to_zero_is_not_said_to_add(audit: Audit) -> None:
    busiest = rows(audit("planted-mixture"))["L0.E0"]
    tiny = replace(busiest.fractions["zero"], value=-1e-6, low=-2e-6, high=1e-6)
    said = describe_strongest([replace(busiest, fractions={"zero": tiny})])
    assert said == "Removing L0.E0 takes away 0.00 [0.00, 0.00] of the clean–corrupted gap."
    less = replace(tiny, value=-0.02, low=-0.03, high=-0.01)
    said = describe_strongest([replace(busiest, fractions={"zero": less})])
    assert said == "Removing L0.E0 adds 0.02 [0.01, 0.03] of the clean–corrupted gap."


def test_a_mask_of_the_favourite_is_all_routing_and_its_three_parts_add_up(audit: Audit) -> None:
    """methods 2.20: +0.0001, +12.01 and +5.59 logits in favour of the answer, 17.61 together."""
    split = rows(audit("planted-mixture"))["L0.E3"].split
    parts = [split.output_removed.value, split.survivors_reweighted.value, split.newcomer.value]
    assert parts == pytest.approx([0.0, -12.01, -5.59], abs=0.05)
    assert sum(parts) == pytest.approx(split.whole.value, abs=1e-4)


@pytest.mark.parametrize(
    "name, decoy, carrier",
    [
        # Worked out in `test_planted_mixtures.py`, where raw hooks measure them; a mask of the decoy raises the metric.
        ("planted-mixture", (0, -12.03, -5.60), (7, 0, -2.48)),
        ("planted-mixture-top-first", (0, -12.03, -5.60), (7, 0, -2.48)),
        ("planted-mixture-unnormalised", (0, -13.58, -6.06), (7, 0, -2.72)),
        ("planted-mixture-sigmoid", (0, -3.61, -11.24), (7, 0, -6.79)),
    ],
)
def test_a_mask_splits_through_the_engine_in_every_planted_router(
    name: str,
    decoy: tuple[float, ...],
    carrier: tuple[float, ...],
    open_planted: Callable[[str], tuple[Any, TokenisedPrompts]],
) -> None:
    subject, prompts = open_planted(name)
    ways = (Replacement.ZERO, Replacement.REWEIGHTED, Replacement.ROUTER_MASK)
    parts = [parse_component(part) for part in ("L0.E3", "L0.E5")]
    logits = subject.run(prompts, [CLEAN_RUN, *(intervene([part], way) for part in parts for way in ways)])
    clean, *runs = (logits.answer - logits.foil).mean(1)
    for expected, (removed, reweighted, masked) in zip((decoy, carrier), (runs[:3], runs[3:]), strict=True):
        found = (clean - removed, removed - reweighted, reweighted - masked)
        assert found == pytest.approx(expected, abs=0.05)
        assert sum(found) == pytest.approx(clean - masked, abs=1e-4)


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


def test_a_forced_route_gives_the_answer_to_whom_it_names(audit: Audit) -> None:
    """With E3 and E6 the backup answers: 20.82 of 7 / 0.2689 = 26.03, at a weight of e⁰ / (e² + e⁰) = 0.1192, instead of 7."""
    moved = audit("planted-mixture", force="L0.E3@-1 L0.E6@-1").forced[0]
    same = audit("planted-mixture", at_answer=True, force="L0.E3 L0.E5").forced[0]
    assert moved.effect.value == pytest.approx(7 - 0.8 * 26.03 * 0.1192, abs=0.05)
    assert (moved.tokens_moved, moved.n_tokens) == (moved.effect.n, moved.effect.n)
    assert same.components == ("L0.E3@-1", "L0.E5@-1")
    assert same.effect.value == pytest.approx(0, abs=1e-4)
    assert same.tokens_moved == 0


def test_the_metric_rises_with_the_weight_of_the_expert_that_carries_it(audit: Audit) -> None:
    """The carrier's output is added to the answer as it is, 7 logits at its own weight: 7 (1 − factor) are lost. The decoy's is read by nothing."""
    result = audit("planted-mixture", weigh="L0.E3 L0.E5 L0.E6@-1")
    decoy, carrier, unrouted = result.weighed
    assert [point.factor for point in carrier.points] == [0, 0.5, 1, 1.5, 2]
    lost = [point.effect.value for point in carrier.points]
    assert lost == pytest.approx([7, 3.5, 0, -3.5, -7], abs=0.05)
    assert lost[0] == pytest.approx(rows(result)["L0.E5"].effects["zero"].value, abs=1e-4)
    assert carrier.reading == "rises with the weight"
    assert [point.effect.value for point in decoy.points] == pytest.approx([0] * 5, abs=0.01)
    assert decoy.reading == "unresolved"
    assert (unrouted.component, unrouted.points, unrouted.reading) == ("L0.E6@-1", (), "not routed")


def test_a_curve_that_turns_is_not_read_as_monotone() -> None:
    """By hand: −1, 0, 0, 0, −1 lost on every prompt. Steps of +, nothing and −."""
    part, templates = parse_component("L0.E5"), ["a", "b", "c", "d", "e"]
    wiggle = np.array([0.01, -0.01, 0.0, 0.02, -0.02])

    def read(*losses: float) -> Any:
        lost = {(part, factor): loss + wiggle * (factor != 1) for factor, loss in zip(FACTORS, losses, strict=True)}
        return read_curve(part, lost, templates, unit="logits", tolerance=1e-3, seed=0)

    assert read(1, 0.5, 0, 0.5, 1).reading == "rises and falls with the weight"
    assert read(-1, -0.5, 0, 0.5, 1).reading == "falls with the weight"
    assert read(1, 0.5, 0, 0, 0).reading == "unresolved"
    with pytest.raises(ControlFailed, match="times 1 changed the metric by 0.1"):
        read(1, 0.5, 0.1, 0, -1)


@pytest.mark.parametrize("written", ["L0.H0", "L0.E99", "L9.E0"])
def test_only_experts_of_the_model_have_a_weight_to_vary(audit: Audit, written: str) -> None:
    with pytest.raises(ComponentRefused, match="no expert of this model"):
        audit("planted-mixture", weigh=written)


def test_earlier_requests_keep_their_description(open_planted: Callable[[str], tuple[Any, TokenisedPrompts]]) -> None:
    _, prompts = open_planted("planted-mixture")
    assert "weigh" not in ExpertsRequest(prompts, prompts).describe()
    assert ExpertsRequest(prompts, prompts, weigh=parse_components("L0.E5")).describe()["weigh"] == ["L0.E5"]


def test_every_screen_is_compared_with_the_effects(audit: Audit) -> None:
    """The favourite expert and the busiest write as much as the cause, into what nothing reads."""
    result = audit("planted-mixture")
    found = {one.screen: one.agreement for one in result.screens}
    assert list(found) == ["load", "weight", "output norm", "weight × norm"]
    assert all(-1 <= one.low <= one.value <= one.high <= 1 for one in found.values())
    assert found["load"] == result.load_agreement
    carrier, decoy = rows(result)["L0.E5"], rows(result)["L0.E3"]
    # The row of an expert writes one dimension: its gain, 26.03, at weights of 0.7311 and 0.2689.
    assert decoy.output_norm.value == pytest.approx(carrier.output_norm.value, rel=0.01)
    assert carrier.weighted_norm.value == pytest.approx(7, abs=0.1)
    assert decoy.weighted_norm.value == pytest.approx(0.7311 / 0.2689 * 7, abs=0.3)
    assert rows(result)["L0.E6"].output_norm is None


def test_shared_paths_are_rows_of_their_own(load_family: Callable[[str], Any]) -> None:
    subject = load_family("granitemoeshared")
    prompts = tokenise_letters(subject.tokenizer, [6] * 8, n_templates=4)
    request = ExpertsRequest(prompts, prompts)
    plugin, means = get_plugin("audits", "experts"), subject.capture_means(prompts, kinds=request.kinds)
    found = plugin.run(subject, request, means=means, on_progress=no_progress)
    assert [row.component for row in found.shared] == ["L0.SHARED", "L1.SHARED", "L2.SHARED"]
    assert found.no_shared == ""
    restoring = intervene([parse_component("L1.SHARED")], Replacement.RESAMPLE, direction=Direction.DENOISING)
    asked = [CLEAN_RUN, CORRUPTED_RUN, intervene([parse_component("L1.SHARED")], Replacement.ZERO), restoring]
    logits = subject.run(prompts, asked)
    clean, corrupted, zero, restored = (logits.answer - logits.foil).mean(1)
    assert found.shared[1].effects["zero"].value == pytest.approx(clean - zero, abs=1e-5)
    assert found.shared[1].restored.value == pytest.approx(restored - corrupted, abs=1e-5)
    assert set(found.shared[1].effects) == {"zero", "mean", "resample"}


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
    (found,) = measure_layers(clean, corrupted, ("a", "b"), 3, tokens=[(0, 1), (0, 1)], seed=0)
    assert found.load_entropy.value == pytest.approx(1.0822, abs=1e-4)
    assert (found.token_information, found.token_p) == (None, None)
    assert found.no_token_information == "4 tokens occur in two templates or more; 30 needed."
    assert found.weight_entropy.value == pytest.approx(0.5623, abs=1e-4)
    assert found.committee == (0, 1)
    assert found.changed.value == pytest.approx(1 / 8)
    assert count_pairs(clean, 0, 3).tolist() == [[0, 2, 1], [2, 0, 1], [1, 1, 0]]


def test_information_on_the_template_is_found_where_there_is_some_and_not_where_there_is_none() -> None:
    rng = np.random.default_rng(0)
    sent = [route(*[(0, 1) if at % 2 else (2, 3)] * 6) for at in range(40)]
    mixed = [route(*(tuple(rng.permutation(4)[:2]) for _ in range(6))) for _ in range(40)]
    templates = tuple("ab"[at % 2] for at in range(40))

    def measure(routing: list[TokenRouting], tokens: list[tuple[int, ...]]) -> Any:
        return measure_layers(routing, routing, templates, 4, tokens=tokens, seed=0)[0]

    # Everywhere the same tokens, then tokens that occur in one template only: all information is vocabulary.
    same, own = [tuple(range(6))] * 40, [tuple(6 * (at % 2) + n for n in range(6)) for at in range(40)]
    informed, silent, vocabulary = measure(sent, same), measure(mixed, same), measure(sent, own)
    assert informed.template_information.value == pytest.approx(np.log(2), abs=0.02)
    assert informed.token_information.value == pytest.approx(np.log(2), abs=0.03)
    assert informed.template_p == informed.token_p == 1 / 200
    assert silent.template_p > 0.05
    assert silent.token_p > 0.05
    assert abs(silent.token_information.value) < 0.05
    assert vocabulary.token_information is None
    assert vocabulary.template_p == 1 / 200


def test_information_given_the_token_is_that_of_the_strata_added_up() -> None:
    """Token 0 is sent by template, token 1 is not: half of the choices inform by ln 2, so that ln 2 / 2 is left."""
    templates = tuple("ab"[at % 2] for at in range(200))
    rng = np.random.default_rng(0)
    chosen = [np.array([[at % 2], [int(rng.integers(2))]] * 3) for at in range(200)]
    found = measure_token_information(chosen, [(0, 1) * 3] * 200, templates, 2, seed=0)
    assert found.estimate.value == pytest.approx(np.log(2) / 2, abs=0.01)
    assert found.p == 1 / 200
    swapped = measure_token_information(
        chosen, [(0, 1) * 3] * 200, tuple("ab"[at // 100] for at in range(200)), 2, seed=0
    )
    assert abs(swapped.estimate.value) < 0.01
    assert swapped.p > 0.05


def test_a_claim_about_an_expert_without_tokens_is_not_tested(
    open_planted: Callable[[str], tuple[Any, TokenisedPrompts]],
) -> None:
    subject, prompts = open_planted("planted-mixture")
    with pytest.raises(NotMeasured, match=r"not_routed: the router sends 0 of .* to L0\.E6"):
        find_loads(subject, prompts, [parse_component("L0.E6")])
    assert find_loads(subject, prompts, [parse_component("L0.H0")]) is None


def test_beside_a_verdict_on_an_expert_its_own_error_rate_is_quoted() -> None:
    assert "On mixtures with known wiring" in quote_calibration(["L3.E5"])
    assert "used components supported" in quote_calibration(["L3.H5"])
