"""How often a claim about nothing meets a policy: never more often than the policy's own α says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from toy.policies import make_claim, make_facts, make_number, read_toy

from audit_core.shipped import load_shipped_policy
from audit_core.stats.bootstrap import bootstrap_ratios
from audit_core.stats.estimates import Estimate
from audit_core.stats.multiplicity import rank_in_null
from audit_core.verifier.criteria import DOES_NOT_MEET, INCONCLUSIVE, MEETS, evaluate_policy

TEMPLATES, PER_TEMPLATE, TRIALS = 12, 20, 400
ALPHA = 0.05
NECESSARY = make_claim(kind="necessity", claim={"role": "necessary", "ablation": "resample"})


def draw_estimates(truth: float, *, seed: int, trials: int = TRIALS) -> tuple[Estimate, ...]:
    """Necessity of as many random circuits, 240 prompts in 12 templates, each template with an effect of its own.

    The gap is 4 logits; a template's effect has standard deviation 0.6 logits, a prompt's 1.
    """
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, 0.6, (trials, TEMPLATES)).repeat(PER_TEMPLATE, axis=1)
    lost = 4 * truth + shared + rng.normal(0, 1, (trials, TEMPLATES * PER_TEMPLATE))
    clusters = [f"t{at}" for at in range(TEMPLATES) for _ in range(PER_TEMPLATE)]
    return bootstrap_ratios(lost, np.full(lost.shape[1], 4.0), clusters, unit="ratio", seed=seed)


def make_row(estimate: Estimate, **changes: Any) -> dict[str, Any]:
    return make_number(
        estimate.low, estimate.high, metric="necessity_drop", estimate=estimate.value, n=estimate.n,
        n_templates=estimate.templates, ci_level=estimate.level, **changes,
    )  # fmt: skip


def gate_rate(rows: list[list[dict[str, Any]]]) -> float:
    """Share of claims that meet all of the default policy, with everything but these rows as good as can be."""
    policy = load_shipped_policy().resolved()
    fine = [
        make_number(None, None, metric="faithfulness_percentile_vs_random", estimate=1.0, n=199),
        make_number(0.0, 0.1, metric="ablation_range", ci_level=0.85),
        make_number(None, None, metric="core_jaccard", estimate=0.9),
        *(make_number(0.8, 0.9, metric="necessity_drop", ablation=name) for name in ("mean", "resample")),
    ]
    met = 0
    for own in rows:
        asked = {row["metric"] for row in own}
        metrics = [row for row in fine if row["metric"] not in asked] + own
        met += evaluate_policy(policy, [NECESSARY], metrics, make_facts())["overall"] == MEETS
    return met / len(rows)


def both_ablations(estimates: tuple[Estimate, ...]) -> list[list[dict[str, Any]]]:
    return [[make_row(one, ablation=name) for name in ("mean", "resample")] for one in estimates]


def test_circuits_without_any_effect_do_not_meet_the_default_policy() -> None:
    """True effect 0 against 0.30: the standard error is 0.6 / 4 / √12 ≈ 0.05, so that it lies six of them away."""
    assert gate_rate(both_ablations(draw_estimates(0.0, seed=1))) == 0.0


def test_circuits_whose_effect_is_the_threshold_itself_meet_it_no_more_often_than_alpha() -> None:
    """The worst null there is: half a chance by the estimate alone, 2.5 % by the lower end of an interval at 0.95."""
    estimates = draw_estimates(0.30, seed=2)
    rate = gate_rate(both_ablations(estimates))
    assert 0 < rate <= ALPHA
    assert np.mean([one.value >= 0.30 for one in estimates]) > 0.4


def test_circuits_that_have_the_effect_do_meet_it() -> None:
    """The positive control: 0.60 lies six standard errors above the threshold."""
    assert gate_rate(both_ablations(draw_estimates(0.60, seed=3))) > 0.95


def percentile(value: float, null: NDArray[np.float64]) -> dict[str, Any]:
    p = rank_in_null(value, null)
    rank = round(p * (len(null) + 1))
    return make_number(
        None, None, metric="faithfulness_percentile_vs_random", estimate=(len(null) + 1 - rank) / (len(null) + 1),
        n=len(null),
    )  # fmt: skip


def test_a_random_circuit_passes_for_better_than_random_ones_no_more_often_than_alpha() -> None:
    """It is one of 200 that are alike: the ten best of 200 ranks are p ≤ 0.05. Three standard errors of 4000 trials: 0.010."""
    rng = np.random.default_rng(4)
    rows = [[percentile(*draw)] for draw in ((float(rng.normal()), rng.normal(size=199)) for _ in range(4000))]
    assert 0.04 < gate_rate(rows) <= ALPHA + 0.0103


def test_of_a_pack_full_of_random_circuits_any_one_passes_no_more_often_than_alpha() -> None:
    """Five claims, Holm: without it 1 − 0.95⁵ = 23 % of packs would hold one. 2000 packs: three standard errors are 0.015."""
    changes = (
        ("faithfulness_ld", "faithfulness_percentile_vs_random"), ("threshold = 0.80", "threshold = 0.95"),
        ('bound = "lower"', 'bound = "estimate"'),
    )  # fmt: skip
    holm, none = (read_toy(*changes, ('method = "none"', f'method = "{name}"')).resolved() for name in ("holm", "none"))
    claims = [make_claim(f"C-000{at}") for at in range(1, 6)]
    facts = make_facts(*(claim["claim_id"] for claim in claims))
    rng = np.random.default_rng(5)
    wrong = {"holm": 0, "none": 0}
    for _ in range(2000):
        rows = [
            percentile(float(rng.normal()), rng.normal(size=199)) | {"claim_id": claim["claim_id"]} for claim in claims
        ]
        for name, policy in (("holm", holm), ("none", none)):
            found = evaluate_policy(policy, claims, rows, facts)["criteria"]
            wrong[name] += any(row["result"] == MEETS for row in found if row["metric"])
    assert wrong["holm"] / 2000 <= ALPHA + 0.015
    assert wrong["none"] / 2000 > 0.2


@pytest.mark.parametrize("truth, wrong", [(0.0, MEETS), (0.30, MEETS), (0.30, DOES_NOT_MEET), (0.60, DOES_NOT_MEET)])
def test_either_wrong_finding_is_rare(truth: float, wrong: str) -> None:
    """Both ends of an interval at 0.95 leave 2.5 %; 400 trials, three standard errors: 0.024."""
    policy = load_shipped_policy().resolved()
    found = [
        evaluate_policy(policy, [NECESSARY], rows, make_facts())["criteria"]
        for rows in both_ablations(draw_estimates(truth, seed=6))
    ]
    results = [row["result"] for rows in found for row in rows if row["id"] == "necessity"]
    assert results.count(wrong) / TRIALS <= 0.025 + 0.024
    if truth == 0.30:
        assert results.count(INCONCLUSIVE) / TRIALS > 0.9
