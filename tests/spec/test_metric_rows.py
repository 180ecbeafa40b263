"""Metric rows: what the audits found of a claim, by hand on sums whose parts are known, and bounds that hold as often as they say."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from toy.additive import AdditiveSubject, pair_up

from audit_core.assessment.questions import Assessment
from audit_core.audits.claim_test import ClaimTestRequest
from audit_core.audits.transfer import TransferResult
from audit_core.circuits.circuit_question import CircuitQuestion
from audit_core.circuits.completeness import Gap
from audit_core.claim import Claim, Role
from audit_core.component import head
from audit_core.errors import ClaimRefused
from audit_core.judging.shift import DistributionShift
from audit_core.judging.trial import NullFinding
from audit_core.packs.metric_bounds import measure_ablation_range, measure_incompleteness, measure_transfer
from audit_core.packs.metric_row import ClaimFindings, MetricRow
from audit_core.packs.metric_rows import list_metric_rows
from audit_core.prompts.prompt_set import TokenisedPrompts, is_exploratory
from audit_core.registry import get_plugin
from audit_core.shipped import load_shipped_policy
from audit_core.stats.estimates import Estimate
from audit_core.stats.groups import GroupEstimates
from audit_core.stats.measurement import Measurement
from audit_core.subject import no_progress
from audit_core.verifier.criteria import evaluate_policy

PARTS = (head(0, 0), head(0, 1))
UNIT = "fraction of the clean–empty gap"


def ask(subject: AdditiveSubject, audit: str, request: Any) -> Any:
    means = subject.capture_means(request.reference)
    return get_plugin("audits", audit).run(subject, request, means=means, on_progress=no_progress)


def spread(text: str) -> float:
    """1 or −1, a little more in some templates than in others."""
    number = next((int(word) for word in text.split() if word.isdigit()), 0)
    return (1 if text.startswith("good") else -1) * (1 + 0.05 * (number % 5))


@pytest.fixture(scope="module")
def asked() -> ClaimFindings:
    """Worth 3, 2 and 1: the first two of three keep 5/6 alone."""
    subject = AdditiveSubject({head(0, 0): 3.0, head(0, 1): 2.0, head(1, 2): 1.0}, level=spread)
    whole = pair_up(subject, 80)
    explored, judged = (
        replace(whole, pairs=tuple(pair for pair in whole.pairs if is_exploratory(pair.prompt) is half))
        for half in (True, False)
    )
    return put_questions(subject, explored, judged)


def put_questions(subject: AdditiveSubject, explored: TokenisedPrompts, judged: TokenisedPrompts) -> ClaimFindings:
    claim = Claim("two heads keep the answer", PARTS, role=Role.SUFFICIENT, delta=0.5)
    assessment = Assessment(CircuitQuestion(judged, judged, PARTS), explored)
    answers = {name: ask(subject, name, assessment.ask(name)) for name in ("circuit", "stability", "transfer")}
    return ClaimFindings("C-0001", claim, ask(subject, "claim_test", ClaimTestRequest(judged, claim)), **answers)


def rows(found: ClaimFindings, metric: str) -> list[MetricRow]:
    return [row for row in list_metric_rows(found) if row.metric == metric]


def estimate(value: float, reach: float, level: float = 0.95, templates: int = 12) -> Estimate:
    return Estimate(value, value - reach, value + reach, 240, UNIT, level, templates)


def with_families(found: ClaimFindings, **families: Estimate | None) -> ClaimFindings:
    assert found.test is not None
    return replace(found, test=replace(found.test, families=families))


def test_what_the_circuit_keeps_is_a_row_an_ablation(asked: ClaimFindings) -> None:
    """Alone the two keep (3 + 2) / 6 by any replacement of the third."""
    found = rows(asked, "faithfulness_ld")
    assert [row.ablation for row in found] == ["resample", "mean", "zero"]
    for row in found:
        assert row.estimate == pytest.approx(5 / 6)
        assert (row.unit, row.ci_level, row.n_templates, row.reason) == (UNIT, 0.95, 5, None)
        assert row.n is not None
        assert row.n > 20
        assert row.denominator_abs_min == 0.5


def test_of_the_other_role_only_what_a_circuits_answers_hold_is_known(asked: ClaimFindings) -> None:
    """Without the two, 5/6 is lost; resample is the ablation the circuit was asked about."""
    found = {row.ablation: row for row in rows(asked, "necessity_drop")}
    assert found["resample"].estimate == pytest.approx(5 / 6)
    assert (found["mean"].estimate, found["mean"].reason) == (None, "not asked")
    assert (found["zero"].estimate, found["zero"].reason) == (None, "not asked")


def test_the_claims_own_metric_follows_its_role(asked: ClaimFindings) -> None:
    needed = replace(asked, claim=replace(asked.claim, role=Role.NECESSARY))
    assert all(row.estimate is not None for row in rows(needed, "necessity_drop"))
    assert [row.reason for row in rows(needed, "faithfulness_ld")] == [None, "not asked", "not asked"]


def test_nothing_that_was_not_asked_has_a_number() -> None:
    found = list_metric_rows(ClaimFindings("C-0001", Claim("a claim", PARTS)))
    assert {row.estimate for row in found} == {None}
    assert {row.reason for row in found} == {"not asked", "not measured by this version"}
    assert {(row.n, row.ci_low, row.ci_level) for row in found} == {(None, None, None)}


def test_every_metric_of_the_default_policy_has_its_rows(asked: ClaimFindings) -> None:
    for found in (asked, ClaimFindings("C-0001", asked.claim)):
        assert {one.metric for one in load_shipped_policy().criteria} == {row.metric for row in list_metric_rows(found)}


def test_a_claim_in_another_metric_has_none_of_these_numbers(asked: ClaimFindings) -> None:
    found = list_metric_rows(replace(asked, claim=replace(asked.claim, metric="answer_probability")))
    assert {row.estimate for row in found} == {None}
    assert all("answer_probability" in (row.reason or "") for row in found)


def test_answers_about_another_circuit_are_refused(asked: ClaimFindings) -> None:
    with pytest.raises(ClaimRefused, match="different components"):
        list_metric_rows(replace(asked, claim=replace(asked.claim, components=(head(0, 0),))))


def test_a_family_that_could_not_be_measured_says_why(asked: ClaimFindings) -> None:
    assert asked.test is not None
    families = asked.test.families | {"zero": None}
    test = replace(asked.test, families=families, not_measured={"zero": "there is no gap"})
    assert [row.reason for row in rows(replace(asked, test=test), "faithfulness_ld")] == [None, None, "there is no gap"]


def test_a_family_off_the_distribution_is_no_evidence(asked: ClaimFindings) -> None:
    assert asked.test is not None
    norms = {"mean": estimate(-5.1, 0.2), "zero": estimate(5.0, 0.2)}
    far = replace(asked, test=replace(asked.test, drift=DistributionShift(norms, {}, "")))
    resample, mean, zero = rows(far, "faithfulness_ld")
    assert (mean.estimate, (mean.reason or "")[:23]) == (None, "off_distribution: -5.1 ")
    assert resample.estimate == zero.estimate == pytest.approx(5 / 6)
    assert measure_ablation_range(far).estimate is not None


@pytest.mark.parametrize("as_much, expected", [(0, 199 / 200), (9, 190 / 200), (199, 0.0)])
def test_the_rank_among_random_sets_is_one_minus_p(asked: ClaimFindings, as_much: int, expected: float) -> None:
    """199 draws of which k do as much: p = (1 + k) / 200, so that 1 − p = (199 − k) / 200."""
    assert asked.test is not None
    null = NullFinding("", (0.0,) * 199, (1 + as_much) / 200, 48)
    (row,) = rows(replace(asked, test=replace(asked.test, null=null)), "faithfulness_percentile_vs_random")
    assert (row.estimate, row.n, row.ci_low, row.ablation) == (expected, 199, None, "resample")


def test_a_null_that_was_not_drawn_is_no_rank(asked: ClaimFindings) -> None:
    assert asked.test is not None
    for null in (None, NullFinding("", (), None, 0)):
        (row,) = rows(replace(asked, test=replace(asked.test, null=null)), "faithfulness_percentile_vs_random")
        assert row.estimate is None
        assert "not drawn" in (row.reason or "")


def test_the_range_over_ablations_by_hand(asked: ClaimFindings) -> None:
    """0.9 ± 0.05, 0.7 ± 0.1, 0.8 ± 0.02. Range 0.9 − 0.7 = 0.2; above max(0.95 − 0.6, 0.95 − 0.78, 0.82 − 0.6, …) = 0.35; below
    max(0.85 − 0.8, 0.85 − 0.82, 0.78 − 0.8, …) = 0.05. Level 1 − 3 · 0.05."""
    found = with_families(asked, resample=estimate(0.9, 0.05), mean=estimate(0.7, 0.1), zero=estimate(0.8, 0.02))
    row = measure_ablation_range(found)
    assert (row.estimate, row.ci_low, row.ci_high) == pytest.approx((0.2, 0.05, 0.35))
    assert (row.ci_level, row.n, row.n_templates) == (0.85, 240, 12)


def test_one_families_own_width_is_no_range(asked: ClaimFindings) -> None:
    """A single wide interval beside two narrow ones inside it: above max over different pairs, 1.0 − 0.69, not 1.0 − 0.4."""
    found = with_families(asked, resample=estimate(0.7, 0.3), mean=estimate(0.7, 0.01), zero=estimate(0.7, 0.01))
    row = measure_ablation_range(found)
    assert (row.ci_low, row.ci_high) == pytest.approx((0.0, 0.31))


def test_one_family_alone_has_no_range_and_without_intervals_it_has_no_bounds(asked: ClaimFindings) -> None:
    row = measure_ablation_range(with_families(asked, resample=estimate(0.9, 0.1), mean=None, zero=None))
    assert (row.estimate, row.reason) == (None, "fewer than two ablation families could be measured")
    bare = Estimate(0.8, None, None, 10, UNIT, None)
    row = measure_ablation_range(with_families(asked, resample=estimate(0.9, 0.1), mean=bare, zero=None))
    assert (row.estimate, row.ci_high, row.ci_level, row.n) == (pytest.approx(0.1), None, None, 10)


@pytest.mark.parametrize("truth", [(0.2, 0.1, 0.0), (0.2, 0.2, 0.0), (0.2, 0.0, 0.0)])
def test_the_range_has_bounds_that_hold_as_often_as_they_say(asked: ClaimFindings, truth: tuple[float, ...]) -> None:
    """True range 0.2, standard error 0.03 each, independent, intervals ± 1.96 of them: the upper end must hold in 95 % of 2000
    samples, both in 85 %; three standard errors are 0.015 and 0.024."""
    rng = np.random.default_rng(7)
    below = outside = 0
    for values in rng.normal(truth, 0.03, (2000, 3)):
        found = with_families(asked, **{name: estimate(value, 1.96 * 0.03) for name, value in zip("abc", values)})
        row = measure_ablation_range(found)
        assert row.ci_low is not None
        assert row.ci_high is not None
        below += row.ci_high < 0.2
        outside += not row.ci_low <= 0.2 <= row.ci_high
    assert below / 2000 <= 0.05 + 0.015
    assert outside / 2000 <= 0.15 + 0.024


def test_a_sum_is_complete_but_for_the_part_left_out(asked: ClaimFindings) -> None:
    """G(K) = (m(C∖K) − m(M∖K)) / gap: the third part's 1/6 is missing from the circuit whatever is taken out of both."""
    (row,) = rows(asked, "incompleteness")
    assert row.estimate == pytest.approx(1 / 6)
    assert (row.ci_level, row.ablation) == (0.9, "resample")
    assert row.ci_low is not None
    assert row.ci_high is not None
    assert row.ci_low <= 1 / 6 + 1e-6 <= row.ci_high + 2e-6


def gaps(found: ClaimFindings, *each: tuple[str, str, float, float]) -> ClaimFindings:
    assert found.circuit is not None
    conditions = found.circuit.sufficiency.conditions
    made = tuple(
        Gap(tuple(names.split()), how, Measurement(estimate(value, reach), conditions))
        for names, how, value, reach in each
    )
    return replace(found, circuit=replace(found.circuit, gaps=made))


def test_incompleteness_by_hand(asked: ClaimFindings) -> None:
    """Widest −0.3 ± 0.1, so 0.3; another reaches 0.2 + 0.25 = 0.45; the largest subset fixed beforehand is 0.1 ± 0.02, so 0.08
    below."""
    found = gaps(
        asked, ("a", "single", -0.3, 0.1), ("a b", "random", 0.1, 0.02), ("a b c", "greedy", 0.2, 0.01), ("b", "single", 0.2, 0.25)
    )  # fmt: skip
    row = measure_incompleteness(found)
    assert (row.estimate, row.ci_low, row.ci_high) == pytest.approx((0.3, 0.08, 0.45))
    assert row.ci_method is not None
    assert "4 subsets" in row.ci_method
    row = measure_incompleteness(gaps(asked, ("a", "single", -0.3, 0.1)))
    assert (row.estimate, row.ci_low, row.ci_high) == pytest.approx((0.3, 0.2, 0.4))


def test_a_gap_across_zero_is_nothing_below_and_its_further_end_above(asked: ClaimFindings) -> None:
    row = measure_incompleteness(gaps(asked, ("a", "single", 0.02, 0.1)))
    assert (row.estimate, row.ci_low, row.ci_high) == pytest.approx((0.02, 0.0, 0.12))


def test_a_search_that_chose_every_subset_by_looking_bounds_nothing(asked: ClaimFindings) -> None:
    assert measure_incompleteness(gaps(asked, ("a", "greedy", 0.02, 0.1))).estimate is None


def test_the_circuit_of_a_sum_is_found_on_every_sample(asked: ClaimFindings) -> None:
    (row,) = rows(asked, "core_jaccard")
    assert (row.estimate, row.ci_low, row.n_templates, row.unit) == (1.0, None, 5, "Jaccard index")
    (row,) = rows(replace(asked, claim=replace(asked.claim, components=PARTS[:1]), circuit=None), "core_jaccard")
    assert row.estimate is None


def test_the_stability_of_another_set_attests_nothing_that_the_claim_names(asked: ClaimFindings) -> None:
    """The search finds H0 and H1 on every sample and without every template; the claim names H0 and H2."""
    other = replace(asked, claim=replace(asked.claim, components=(head(0, 0), head(0, 2))), circuit=None)
    (row,) = rows(other, "core_jaccard")
    assert (row.estimate, row.reason) == (None, "the search finds a different circuit: L0.H0, L0.H1")
    assert isinstance(asked.transfer, TransferResult)
    folds = tuple(replace(fold, components=("L0.H0", "L0.H2")) for fold in asked.transfer.folds)
    (row,) = rows(replace(asked, transfer=replace(asked.transfer, folds=folds)), "transfer_ratio")
    assert (row.estimate, row.reason) == (
        None,
        "with any template held out, the search finds a different circuit than the claim names",
    )


def held_out(found: ClaimFindings, own: Estimate, *groups: Estimate, untested: tuple[str, ...] = ()) -> ClaimFindings:
    assert found.circuit is not None
    assert isinstance(found.transfer, TransferResult)
    names = tuple(f"t{at}" for at in range(len(groups)))
    whole = Measurement(own, found.circuit.sufficiency.conditions)
    return replace(
        found,
        circuit=replace(found.circuit, sufficiency=whole),
        transfer=replace(found.transfer, found_elsewhere=GroupEstimates(names, groups, untested)),
    )


def test_transfer_by_hand(asked: ClaimFindings) -> None:
    """Own 0.8 ± 0.1; templates 0.6 ± 0.2 and 0.7 ± 0.4, together at 0.95. Worst 0.6 / 0.8 = 0.75; below 0.3 / 0.9 = 1/3; above
    min(0.8, 1.1) / 0.7; level 1 − 0.05 − 0.05."""
    groups = (estimate(0.6, 0.2, 0.975), estimate(0.7, 0.4, 0.975))
    row = measure_transfer(held_out(asked, estimate(0.8, 0.1), *groups))
    assert (row.estimate, row.ci_low, row.ci_high) == pytest.approx((0.75, 0.3 / 0.9, 0.8 / 0.7))
    assert (row.ci_level, row.n_templates) == (0.9, 2)


def test_a_negative_template_is_divided_the_other_way(asked: ClaimFindings) -> None:
    """−0.2 ± 0.1 over 0.8 ± 0.1: below −0.3 / 0.7, above −0.1 / 0.9."""
    row = measure_transfer(held_out(asked, estimate(0.8, 0.1), estimate(-0.2, 0.1)))
    assert (row.ci_low, row.ci_high) == pytest.approx((-0.3 / 0.7, -0.1 / 0.9))


@pytest.mark.parametrize(
    "own, untested, says",
    [
        (0.8, ("t9",), "templates not tested, as they have no clean–empty gap: t9"),
        (0.05, (), "not distinguishable from zero"),
        (-0.5, (), "not distinguishable from zero"),
    ],
)
def test_a_ratio_that_means_nothing_is_not_taken(
    asked: ClaimFindings, own: float, untested: tuple[str, ...], says: str
) -> None:
    row = measure_transfer(held_out(asked, estimate(own, 0.1), estimate(0.6, 0.1), untested=untested))
    assert row.estimate is None
    assert says in (row.reason or "")


def test_held_out_templates_of_a_sum_keep_what_the_circuit_keeps(asked: ClaimFindings) -> None:
    """The same two heads are found without any template: 5/6 each, and 5/6 in all."""
    (row,) = rows(asked, "transfer_ratio")
    assert row.estimate == pytest.approx(1.0)
    assert row.ci_level == pytest.approx(0.9)


def test_transfer_bounds_hold_as_often_as_they_say(asked: ClaimFindings) -> None:
    """Worst of four at 0.6, own 0.8, so 0.75; standard errors 0.03 and 0.02; 2000 samples, three standard errors: 0.02."""
    rng, missed, reach = np.random.default_rng(8), 0, 2.4977
    for values in rng.normal((0.6, 0.6, 0.7, 0.8, 0.8), (0.03,) * 4 + (0.02,), (2000, 5)):
        groups = [estimate(value, reach * 0.03, 0.9875) for value in values[:4]]
        row = measure_transfer(held_out(asked, estimate(values[4], 1.96 * 0.02), *groups))
        assert row.ci_low is not None
        assert row.ci_high is not None
        missed += not row.ci_low <= 0.75 <= row.ci_high
    assert missed / 2000 <= 0.10 + 0.02


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"estimate": 1.0, "reason": "and a reason"},
        {"reason": ""},
        {"estimate": 1.0, "ci_low": 0.9},
        {"estimate": 1.0, "ci_low": 0.9, "ci_high": 1.1, "ci_method": "x"},
        {"estimate": 1.0, "ci_low": 0.9, "ci_high": 1.1, "ci_level": 0.95},
    ],
)
def test_a_row_is_a_number_or_a_reason_and_an_interval_is_whole(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="faithfulness_ld"):
        MetricRow("faithfulness_ld", "C-0001", UNIT, **fields)


def test_rows_of_real_audits_are_what_the_rule_reads(asked: ClaimFindings) -> None:
    """A sum of five templates and some 40 prompts: too few for the default policy, which says so and evaluates everything it was given."""
    claim = {
        "claim_id": "C-0001", "kind": "sufficiency", "status": "tested", "scope": {"model_id": "sum"},
        "claim": {"role": "sufficient", "ablation": "resample"},
    }  # fmt: skip
    metrics = [row.to_json() for row in list_metric_rows(asked)]
    found = evaluate_policy(load_shipped_policy().resolved(), [claim], metrics, {})
    by_id = {row["id"]: row for row in found["criteria"]}
    assert by_id["faithfulness"]["result"] == "INCONCLUSIVE"
    assert "200 needed" in by_id["faithfulness"]["reason"]
    assert by_id["ablation_agreement"]["estimate"] == pytest.approx(0, abs=1e-6)
    assert by_id["completeness"]["estimate"] == pytest.approx(1 / 6)
    assert by_id["transfer"]["reason"].startswith("exploratory")
    assert by_id["calibration"]["reason"] == "not measured by this version"


def test_every_pair_of_signs_keeps_the_ends_in_order(asked: ClaimFindings) -> None:
    for value, own in product((-0.5, -0.05, 0.05, 0.5), (0.15, 0.8)):
        row = measure_transfer(held_out(asked, estimate(own, 0.1), estimate(value, 0.1)))
        assert row.ci_low is not None
        assert row.ci_high is not None
        assert row.estimate is not None
        assert row.ci_low <= row.estimate <= row.ci_high
