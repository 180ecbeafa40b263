"""Necessity and sufficiency by hand, on sums and on planted heads; and the defects of other tools that must not be ours."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from toy.additive import AdditiveSubject, pair_up
from toy.planted import make_induction

from audit_core.audits.ablation import AblationRequest, AblationResult
from audit_core.audits.claim_test import ClaimTestRequest, ClaimTestResult
from audit_core.claim import Claim, Role, Universe
from audit_core.component import Component, Kind, head, mlp, parse_components
from audit_core.effect import measure_effect
from audit_core.errors import NotMeasured
from audit_core.intervention import Replacement
from audit_core.judging.faithfulness import (
    CircuitEffect,
    describe_tuple,
    estimate_faithfulness,
    list_universe,
    plan_circuit,
    read_circuit,
)
from audit_core.judging.trial import measure_null_draws
from audit_core.metrics.logit_difference import PLUGIN as LOGIT_DIFFERENCE
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import PromptSet, TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.stats.estimates import Estimate
from audit_core.subject import Subject, no_progress
from audit_core.subjects.transformer import TransformerSubject


def circuit(clean: list[float], without: list[float], alone: list[float], empty: list[float]) -> CircuitEffect:
    clusters = tuple(f"t{at}" for at in range(len(clean)))
    return CircuitEffect(*(np.array(values, float) for values in (clean, without, alone, empty)), clusters, 0.5)


def estimate(found: CircuitEffect, role: Role) -> Estimate:
    return estimate_faithfulness(found, role, seed=0, level=0.95)


def test_necessity_and_sufficiency_are_ratios_of_means_on_the_clean_empty_gap() -> None:
    """Clean 4 and 8, empty 0 and 2: mean gap 5. Without: 3 and 5, so N = (6 − 4)/5 = 0.4. Alone: 3 and 4, so
    S = (3.5 − 1)/5 = 0.5. Mean of ratios would be (1/4 + 3/6)/2 = 0.375, and over the clean value 2/6 = 0.33."""
    found = circuit([4, 8], [3, 5], [3, 4], [0, 2])
    assert estimate(found, Role.NECESSARY).value == pytest.approx(0.4)
    assert estimate(found, Role.SUFFICIENT).value == pytest.approx(0.5)
    assert estimate(found, Role.SUFFICIENT).unit == "fraction of the clean–empty gap"


def test_nothing_is_clipped_above_one_or_below_zero() -> None:
    """Alone 10 where the whole model has 7 and nothing 0: 10/7 = 1.43, and taking it away gains: (7 − 9)/7 = −0.29."""
    found = circuit([7, 7], [9, 9], [10, 10], [0, 0])
    assert estimate(found, Role.SUFFICIENT).value == pytest.approx(10 / 7)
    assert estimate(found, Role.NECESSARY).value == pytest.approx(-2 / 7)
    assert estimate(found, Role.SUFFICIENT).high == pytest.approx(10 / 7)


@pytest.mark.parametrize("empty", [[6.6, 6.6], [7, 7], [9, 9]])
def test_without_a_gap_to_the_empty_circuit_there_is_no_fraction(empty: list[float]) -> None:
    with pytest.raises(NotMeasured, match="no gap to take a fraction of") as caught:
        estimate(circuit([7, 7], [5, 5], [3, 3], empty), Role.NECESSARY)
    assert caught.value.reason == "control_failed"


def test_a_gap_whose_sign_hangs_on_the_templates_drawn_gives_no_fraction() -> None:
    """Gaps 3, −2, 3, −2, 3 average 1, and some draws of five templates average below zero: a fraction of that has no
    interval. With 3, 2, 3, 2, 3 it has one."""
    flat = [0.0] * 5
    with pytest.raises(NotMeasured, match="sign of the gap"):
        estimate(circuit([3, -2, 3, -2, 3], flat, flat, flat), Role.NECESSARY)
    assert estimate(circuit([3, 2, 3, 2, 3], flat, flat, flat), Role.NECESSARY).low == 1.0


def test_the_universe_is_every_head_or_every_head_and_mlp() -> None:
    subject = AdditiveSubject({})
    assert {c.kind for c in list_universe(subject, Universe.HEADS)} == {Kind.HEAD}
    assert {c.kind for c in list_universe(subject, Universe.HEADS_MLPS)} == {Kind.HEAD, Kind.MLP}
    assert len(list_universe(subject, Universe.HEADS_MLPS)) == 2 * 3 + 2


def test_alone_is_everything_else_replaced_and_empty_is_everything_replaced() -> None:
    subject = AdditiveSubject({})
    runs = plan_circuit(subject, [head(0, 1)], Universe.HEADS_MLPS, Replacement.MEAN)
    assert runs.without.components == (head(0, 1),)
    assert set(runs.alone.components) | {head(0, 1)} == set(runs.empty.components)
    assert head(0, 1) not in runs.alone.components
    assert len(runs.empty.components) == 8
    assert all(run.replacements == {Replacement.MEAN} for run in runs.as_tuple())


def measure(subject: Subject, prompts: TokenisedPrompts, address: str, replacement: Replacement) -> tuple[float, float]:
    """Necessity and sufficiency among heads."""
    runs = plan_circuit(subject, parse_components(address), Universe.HEADS, replacement)
    means = subject.capture_means(prompts)
    effect = measure_effect(subject, prompts, runs.as_tuple(), LOGIT_DIFFERENCE, means=means, seed=0)
    found = read_circuit(effect, runs)
    return estimate(found, Role.NECESSARY).value, estimate(found, Role.SUFFICIENT).value


@pytest.fixture(scope="module")
def induction(planted: TransformerSubject) -> TokenisedPrompts:
    return tokenise(make_induction(20, change="context", n_templates=5), planted.tokenizer)


@pytest.mark.parametrize(
    "address, zero, resample",
    [
        ("L0.H0, L1.H0, L1.H3", 1.0, 1.0),
        ("L0.H0, L1.H0", 10 / 7, 20 / 14),
        ("L0.H0, L1.H1, L1.H2", 0, 0),
        ("L0.H0, L2.H0", 8 / 7, 0),
        ("L1.H0, L1.H3", 0, 0),
    ],
)
def test_planted_circuits_are_as_sufficient_as_their_weights_say(
    planted: TransformerSubject, induction: TokenisedPrompts, address: str, zero: float, resample: float
) -> None:
    """The empty circuit is 0 under zero and −7 under resample, so the gaps are 7 and 14.

    All three: 7 and 7. Without the negative head 10 under zero, and under resample, where it pushes the foil down,
    10 + 3 = 13: 20 of 14. Decoys: nothing. The backup keeps 8 under zero, where nothing raises the flag, and nothing
    under resample, where the primary heads write 10 − 3 to the foil. The primary heads without the previous-token head
    find nothing under zero; under resample it tells them of the corrupted context, and they recompute from that: −7.
    """
    assert measure(planted, induction, address, Replacement.ZERO)[1] == pytest.approx(zero, abs=2e-3)
    assert measure(planted, induction, address, Replacement.RESAMPLE)[1] == pytest.approx(resample, abs=2e-3)


@pytest.mark.parametrize(
    "address, zero, resample",
    [("L1.H0", 2 / 7, 20 / 14), ("L1.H3", -3 / 7, -6 / 14), ("L0.H0", 1.0, 1.0), ("L1.H1", 0, 0), ("L2.H0", 0, 0)],
)
def test_planted_heads_are_as_necessary_as_their_weights_say(
    planted: TransformerSubject, induction: TokenisedPrompts, address: str, zero: float, resample: float
) -> None:
    """Zero: 7 − 5 = 2 of 7 without the primary head, because the backup wakes; resample: 7 − (−13) = 20 of 14."""
    assert measure(planted, induction, address, Replacement.ZERO)[0] == pytest.approx(zero, abs=2e-3)
    assert measure(planted, induction, address, Replacement.RESAMPLE)[0] == pytest.approx(resample, abs=2e-3)


def test_single_heads_by_the_pair_gap_are_the_planted_fractions(
    planted: TransformerSubject, induction: TokenisedPrompts
) -> None:
    """The map divides by the gap between the two prompts, 14 logits, and not by the clean value, 7."""
    request = AblationRequest(induction, induction, (head(1, 0),), Replacement.RESAMPLE)
    found: AblationResult = get_plugin("audits", "ablation").run(planted, request, means=None, on_progress=no_progress)
    assert found.fraction is not None
    assert found.fraction.value == pytest.approx(20 / 14, abs=2e-3)
    assert (found.clean.value, found.corrupted.value) == pytest.approx((7, -7), abs=2e-3)
    assert found.after.value == pytest.approx(-13, abs=3e-3)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """All 199 draws, each on five prompts: what is planted stands far from chance, and draws are nearly all the price."""
    monkeypatch.setattr("audit_core.judging.trial.measure_null_draws", partial(measure_null_draws, most=5))


def judge(
    subject: Subject, prompts: TokenisedPrompts, parts: tuple[Component, ...], role: Role, primary: Replacement
) -> ClaimTestResult:
    delta = {Role.NECESSARY: 0.1, Role.SUFFICIENT: 0.8}[role]
    claim = Claim("a claim", parts, role=role, ablation=primary, delta=delta)
    means = subject.capture_means(prompts)
    audit = get_plugin("audits", "claim_test")
    found: ClaimTestResult = audit.run(subject, ClaimTestRequest(prompts, claim), means=means, on_progress=no_progress)
    return found


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("primary", [Replacement.RESAMPLE, Replacement.ZERO])
@pytest.mark.parametrize(
    "address, role, state, reason",
    [
        ("L0.H0", Role.NECESSARY, "supported", None),
        ("L1.H0", Role.NECESSARY, "supported", None),
        ("L1.H1", Role.NECESSARY, "negligible", None),
        ("L1.H2", Role.NECESSARY, "negligible", None),
        ("L1.H3", Role.NECESSARY, "reversed", None),
        ("L2.H0", Role.NECESSARY, "negligible", None),
        ("L0.H0, L1.H0, L1.H3", Role.SUFFICIENT, "supported", None),
        ("L0.H0, L1.H1, L1.H2", Role.SUFFICIENT, "negligible", None),
        ("L0.H0, L2.H0", Role.SUFFICIENT, "inconclusive", "ablations_disagree"),
    ],
)
def test_verdicts_on_planted_heads_are_what_was_planted(
    planted: TransformerSubject,
    induction: TokenisedPrompts,
    primary: Replacement,
    address: str,
    role: Role,
    state: str,
    reason: str | None,
) -> None:
    found = judge(planted, induction, parse_components(address), role, primary)
    assert (found.state, found.reason) == (state, reason), found.families


@pytest.mark.usefixtures("few_draws")
def test_a_decoy_that_looks_exactly_as_the_head_that_acts_is_distinguished(
    planted: TransformerSubject, induction: TokenisedPrompts
) -> None:
    """Both put all their attention on the answer; one is supported and one negligible, so attention decided neither."""
    real, decoy = (
        judge(planted, induction, parse_components(address), Role.NECESSARY, Replacement.RESAMPLE)
        for address in ("L1.H0", "L1.H2")
    )
    assert {look.source: look.mass.value for look in real.looks}["answer"] == pytest.approx(1, abs=1e-3)
    assert {look.source: look.mass.value for look in decoy.looks}["answer"] == pytest.approx(1, abs=1e-3)
    assert (real.state, decoy.state) == ("supported", "negligible")


def test_a_circuit_without_its_negative_head_is_flagged_and_not_clipped(
    planted: TransformerSubject, induction: TokenisedPrompts
) -> None:
    found = judge(planted, induction, parse_components("L0.H0, L1.H0"), Role.SUFFICIENT, Replacement.ZERO)
    assert found.families["zero"] is not None
    assert found.families["zero"].value == pytest.approx(10 / 7, abs=2e-3)
    assert "exceeds the whole model" in found.sentence


def test_too_few_prompts_or_templates_carry_no_verdict_however_clear_the_number(planted: TransformerSubject) -> None:
    for n, n_templates in ((19, 5), (20, 4), (2, 1)):
        prompts = tokenise(make_induction(n, change="context", n_templates=n_templates), planted.tokenizer)
        found = judge(planted, prompts, (head(0, 0),), Role.NECESSARY, Replacement.RESAMPLE)
        assert (found.state, found.reason) == ("inconclusive", "low_power")
        assert found.families["resample"] is not None
        assert found.families["resample"].value == pytest.approx(1, abs=2e-3)


def test_a_model_that_fails_the_task_gets_no_verdict() -> None:
    subject = AdditiveSubject({head(0, 0): -3.0})
    prompts = pair_up(subject)
    found = judge(subject, prompts, (head(0, 0),), Role.NECESSARY, Replacement.ZERO)
    assert (found.state, found.reason) == ("inconclusive", "model_fails_task")
    assert found.sentence.startswith("Not tested: the model prefers the answer on 0%")


def test_a_family_without_a_gap_is_named_and_the_claim_on_it_is_not_judged() -> None:
    """Level 1 in clean and −3 in corrupted: zero leaves the constant 4, so 6 − 4 = 2 of 2 is lost; with a worth that
    makes the mean level 1 the mean ablation changes nothing, and a fraction of nothing is refused."""
    levels = {"good": 1.0, "bad": -3.0, "mean": 1.0}
    subject = AdditiveSubject({head(0, 0): 2.0}, level=lambda text: levels[text.split()[0]] if text else 0.0, rest=4.0)
    prompts = pair_up(subject)
    means = subject.capture_means(pair_up(subject, texts=[("mean 0 x", "mean 1 x"), ("mean 2 x", "mean 3 x")]))
    audit = get_plugin("audits", "claim_test")
    for primary in (Replacement.ZERO, Replacement.MEAN):
        claim = Claim("a claim", (head(0, 0),), ablation=primary)
        found = audit.run(subject, ClaimTestRequest(prompts, claim), means=means, on_progress=no_progress)
        assert found.families["mean"] is None
        assert "no gap" in found.not_measured["mean"]
        if primary is Replacement.ZERO:
            assert found.families["zero"].value == pytest.approx(1)
            # In one dimension a push as large as the replacement does as much: nothing tells it from chance.
            assert found.reason == "null_not_beaten"
        else:
            assert (found.state, found.reason) == ("inconclusive", "control_failed")
            assert found.families["zero"] is None, "a claim that could not be tested shows no number of another family"


def test_what_is_kept_of_no_gap_is_not_shown() -> None:
    """Taking every head away moves the metric by 0.4: a share kept of that would be noise divided by noise."""
    subject = AdditiveSubject({head(0, 0): 0.4, mlp(0): 3.0})
    prompts = pair_up(subject)
    request = AblationRequest(prompts, prompts, (head(0, 0),), Replacement.ZERO)
    found: AblationResult = get_plugin("audits", "ablation").run(subject, request, means=None, on_progress=no_progress)
    assert found.kept is None
    assert "hardly lowers the metric" in found.no_fraction
    assert found.fraction is not None, "the gap between the two prompts is 6.8, so that fraction stands"
    assert found.fraction.value == pytest.approx(0.4 / 6.8, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_intervals_of_a_claim_are_at_its_own_level(alpha: float) -> None:
    subject = AdditiveSubject({head(0, 0): 3.0, head(0, 1): 1.0})
    claim = Claim("a claim", (head(0, 0),), ablation=Replacement.ZERO, alpha=alpha)
    request = ClaimTestRequest(pair_up(subject), claim)
    means = subject.capture_means(request.prompts)
    found = get_plugin("audits", "claim_test").run(subject, request, means=means, on_progress=no_progress)
    assert found.families["zero"].level == pytest.approx(1 - alpha)


def test_the_six_conditions_are_beside_every_number() -> None:
    claim = Claim("a claim", (head(0, 0), mlp(1)), universe=Universe.HEADS_MLPS, role=Role.SUFFICIENT, delta=0.8)
    conditions = dict(describe_tuple(claim))
    assert set(conditions) == {"granularity", "component type", "ablation", "positions", "direction", "set"}
    assert conditions["component type"] == "head and mlp"
    assert conditions["set"] == "all other heads+mlps ablated"


def test_prompts_of_the_planted_task_are_what_they_say(planted: TransformerSubject) -> None:
    """The ground of every number above: the answer follows the first occurrence of the last word."""
    for change in ("query", "context"):
        rows: PromptSet = make_induction(6, change=change, seed=3)
        for row in rows.prompts:
            clean, corrupted = row.clean.split(), row.corrupted.split()
            assert clean[clean.index(clean[-1]) + 1] == row.answer.strip()
            assert corrupted[corrupted.index(corrupted[-1]) + 1] == row.foil.strip()
