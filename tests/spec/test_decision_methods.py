"""Methods on decisions, on functions whose answers are worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from audit_core.decisions.anchors import find_anchor
from audit_core.decisions.attributions import lime_spread, permutation_importance, shapley, shapley_of_row
from audit_core.decisions.counterfactuals import find_alternatives
from audit_core.decisions.curves import Support, accumulated_effects, individual_curves, partial_dependence
from audit_core.decisions.fairness import association, flip, mediate
from audit_core.decisions.people import read_applicants
from audit_core.decisions.reasons import find_reasons, pick_narrow, word_reason
from audit_core.decisions.slots import Change, Slot, parse_slots
from audit_core.decisions.surrogate import check_fidelity, fit_additive, fit_tree
from audit_core.decisions.table import DecisionTable, EstimatorDecider, fill_table
from audit_core.decisions.task import DecisionTask
from audit_core.errors import Refused

GENDER = Slot("gender", ("man", "woman"), False, is_protected=True)
REGION = Slot("region", ("north", "south"), False)
INCOME = Slot("income", ("low", "middle", "high"), True, Change.RISE)
SLOTS = (INCOME, GENDER, REGION)


def decide(rows: np.ndarray) -> np.ndarray:
    """income − 0.5 − 1 in the south; gender is not read."""
    return rows[..., 0] - 0.5 - rows[..., 2].astype(float)


def tabulate(slots: tuple[Slot, ...] = SLOTS) -> DecisionTable:
    cells = np.indices([len(slot.levels) for slot in slots])
    return DecisionTable(slots, decide(np.moveaxis(cells, 0, -1)))


def draw_rows(n: int = 400, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    gender = draw.integers(2, size=n)
    region = np.where(draw.random(n) < 0.8, gender, 1 - gender)
    return np.column_stack([draw.integers(3, size=n), gender, region])


def test_two_features_have_the_shapley_values_of_the_worked_example() -> None:
    """v() = 0.10, v(D) = 0.30, v(I) = 0.05, v(DI) = 0.32: φ_D = ½(0.20 + 0.27) = 0.235, φ_I = ½(−0.05 + 0.02) = −0.015."""
    worth = {frozenset(): 0.10, frozenset({0}): 0.30, frozenset({1}): 0.05, frozenset({0, 1}): 0.32}
    assert shapley(worth.__getitem__, 2) == pytest.approx([0.235, -0.015], abs=1e-12)


def test_shapley_values_of_a_sum_are_each_slots_own_difference_and_add_up() -> None:
    rows = draw_rows()
    found = shapley_of_row(tabulate(), (0, 1, 1), rows)
    assert found == pytest.approx([-rows[:, 0].mean(), 0.0, rows[:, 2].mean() - 1], abs=1e-9)
    assert abs(found.sum() - (decide(np.array([0, 1, 1])) - decide(rows).mean())) <= 1e-6


def test_more_than_ten_slots_are_refused() -> None:
    with pytest.raises(Refused):
        shapley(lambda _: 0.0, 11)


def test_partial_dependence_is_the_mean_of_the_individual_curves() -> None:
    """Three applicants have 5, 3 and 7 at the second size: the mean is 5.0."""

    def worked(rows: np.ndarray) -> np.ndarray:
        return rows[:, 0] * np.array([5.0, 3.0, 7.0])[rows[:, 1]]

    rows = np.array([[0, 0], [1, 1], [0, 2]])
    assert individual_curves(worked, rows, 0, 2)[:, 1] == pytest.approx([5, 3, 7])
    assert partial_dependence(worked, rows, 0, 2)[1] == pytest.approx(5.0)


def test_accumulated_effects_leave_out_combinations_that_partial_dependence_makes_up() -> None:
    """f = x₁ + 10 where x₁ = 2 and x₂ = 0, which no row has: ALE has steps of 1, the partial dependence jumps."""

    def worked(rows: np.ndarray) -> np.ndarray:
        return rows[:, 0] + 10.0 * ((rows[:, 0] == 2) & (rows[:, 1] == 0))

    rows = np.array([[0, 0], [1, 0], [1, 1], [2, 1]] * 5)
    rows = rows[(rows[:, 0] != 1) | (rows[:, 1] == 1)]
    curve, n = accumulated_effects(worked, rows, 0, 3)
    assert curve == pytest.approx([0, 1, 2])
    assert n.tolist() == [10, 10]
    assert np.diff(partial_dependence(worked, rows, 0, 3))[1] > 4
    assert Support(rows).share_unseen(0, 3) > 0
    assert Support(rows).list_unseen((2, 0)) == ((0, 1),)


def test_permuting_an_unread_slot_changes_nothing() -> None:
    rows = draw_rows()
    assert permutation_importance(decide, rows, 1, seed=0).max() == 0
    assert permutation_importance(decide, rows, 0, seed=0).mean() > 0.5


def test_lime_finds_the_slots_that_are_read_and_its_weights_differ_between_seeds() -> None:
    mean, spread = lime_spread(tabulate(), (0, 1, 1), draw_rows(), seed=0)
    assert mean[0] < -0.5
    assert mean[2] < -0.2
    assert spread.min() > 0


def test_the_proxy_is_found_by_mediation_and_by_its_flip_and_missed_by_the_flip_of_the_attribute() -> None:
    """P(south | woman) − P(south | man) is near 0.6, and the south costs 1 logit: −0.6 passes through the region."""
    table, rows = tabulate(), draw_rows()
    alone = flip(table, rows, 1, 0, 1, seed=0)
    assert alone.effect.value == 0
    assert alone.flipped.value == 0
    region = flip(table, rows, 2, 0, 1, seed=0)
    assert region.effect.value == pytest.approx(-1)
    through = mediate(table, rows, 1, 2, 0, 1, seed=0)
    gap = rows[rows[:, 1] == 1, 2].mean() - rows[rows[:, 1] == 0, 2].mean()
    assert through.indirect.value == pytest.approx(-gap)
    assert through.indirect.high is not None
    assert through.indirect.high < -0.4
    assert through.direct.value == 0
    assert through.total.value == pytest.approx(-gap)
    assert association(rows, 1, 2) == pytest.approx(gap, abs=0.02)


def test_a_direct_effect_is_not_reported_as_one_through_another_slot() -> None:
    table = tabulate()
    biased = DecisionTable(SLOTS, table.values - np.array([0.0, 2.0])[None, :, None])
    found = mediate(biased, draw_rows(), 1, 0, 0, 1, seed=0)
    assert found.direct.value == pytest.approx(-2)
    assert found.indirect.low is not None
    assert found.indirect.low < 0 < (found.indirect.high or 0)


def test_counterfactuals_change_allowed_slots_upwards_only_and_flip_the_decision_when_run() -> None:
    rows = draw_rows()
    table = tabulate()
    for row in ((0, 1, 1), (1, 0, 1), (0, 0, 0)):
        found = find_alternatives(table, row, Support(rows))
        assert found
        for one in found:
            assert one.changed == (0,)
            assert one.row[0] > row[0]
            assert decide(np.array(one.row)) > 0 > decide(np.array(row))
    assert find_alternatives(table, (2, 0, 0), Support(rows)) == ()


def test_alternatives_change_different_sets_of_slots() -> None:
    slots = (INCOME, Slot("tenure", ("short", "long"), True, Change.RISE), Slot("age", ("young", "old"), True))
    values = np.moveaxis(np.indices((3, 2, 2)), 0, -1) @ np.array([1.0, 1.0, 5.0]) - 0.5
    rows = np.array([[a, b, c] for a in range(3) for b in range(2) for c in range(2)])
    found = find_alternatives(DecisionTable(slots, values), (0, 0, 0), Support(rows))
    assert [one.changed for one in found] == [(0,), (1,)]


def test_reasons_are_measured_and_a_protected_slot_is_never_one() -> None:
    rows = draw_rows()
    table = tabulate()
    protected = [slot.is_protected for slot in SLOTS]
    found = find_reasons(table.read, (0, 1, 1), pick_narrow(rows, table.read(rows)), protected, least=0.1)
    assert [one.slot for one in found.found] == [0, 2]
    assert found.flips_together == 1
    assert found.is_established
    assert not found.protected
    biased = DecisionTable(SLOTS, table.values - np.array([0.0, 2.0])[None, :, None])
    men = rows[rows[:, 1] == 0]
    second = find_reasons(biased.read, (1, 1, 0), pick_narrow(men, biased.read(men)), protected, least=0.1)
    assert [one.slot for one in second.protected] == [1]
    assert 1 not in [one.slot for one in second.found]
    assert not second.is_established


def test_the_stated_precision_of_an_anchor_holds_on_fresh_samples() -> None:
    """The rule is income = low; its true precision is 1, or less with noise in the rule: the bound must hold in 95 %."""
    n_slots = 4

    def noisy(rows: np.ndarray) -> np.ndarray:
        # Low income decides, except together with three other values.
        return np.where((rows[:, 0] == 0) & ~((rows[:, 1] == 1) & (rows[:, 2] == 1) & (rows[:, 3] == 0)), -1.0, 1.0)

    population = np.random.default_rng(5).integers(3, size=(20_000, n_slots))
    held = []
    for seed in range(200):
        draw = np.random.default_rng(seed).integers(3, size=(120, n_slots))
        found = find_anchor(noisy, (0, 0, 0, 0), draw[:60], draw[60:])
        fixed = population.copy()
        fixed[:, found.slots] = 0
        assert found.precision.low is not None
        held.append((noisy(fixed) < 0).mean() >= found.precision.low)
    assert np.mean(held) >= 0.93


def test_a_surrogate_of_a_sum_is_exact_and_a_short_tree_is_not() -> None:
    rows = draw_rows()
    half = len(rows) // 2
    values = decide(rows)
    additive = fit_additive(rows[:half], values[:half], SLOTS)
    assert check_fidelity(additive, rows[half:], values[half:]).variance == pytest.approx(1)
    assert additive.weights[0] == pytest.approx((0, 1, 2))
    tree = fit_tree(rows[:half], values[:half], SLOTS, depth=1)
    assert check_fidelity(tree, rows[half:], values[half:]).variance < 0.95
    assert [rule for rule, _ in tree.list_rules(SLOTS)] == ["income at most low", "income above low"]


def test_an_estimator_in_memory_goes_through_the_same_interface() -> None:
    class Fitted:
        def predict_proba(self, rows: np.ndarray) -> np.ndarray:
            yes = 1 / (1 + np.exp(-decide(rows)))
            return np.column_stack([1 - yes, yes])

    table = fill_table(EstimatorDecider(Fitted()), SLOTS)
    assert table.values == pytest.approx(tabulate().values)
    with pytest.raises(Refused):
        fill_table(EstimatorDecider(object()), SLOTS)


@pytest.mark.parametrize(
    "text",
    [
        "income",
        "a = x | y; a = x | y",
        "a = x | x; b = 1 | 2",
        "a = x | y, may rise; b = 1 | 2",
        "a = x | y, maybe; b = 1 | 2",
        "a = x | y, reason: ; b = 1 | 2",
        "a = x | y, reason: you did not reach our Minimum Score; b = 1 | 2",
        "a = x | y, protected, reason: your age; b = 1 | 2",
        "a = x | y, reason: {a} is low; b = 1 | 2",
        "a = x | y, reason: " + "long " * 40 + "; b = 1 | 2",
    ],
)
def test_slots_that_do_not_parse_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse_slots(text)


def test_an_owners_phrase_words_the_reason_and_what_was_measured_stays_behind_it() -> None:
    """Also with commas. A slot without a phrase keeps its name, and its task the text that its digest is of."""
    first, second = parse_slots("income = low < high, may rise, reason: income, as stated, too low; debt = none < much")
    assert (first.phrase, first.change, first.levels) == ("income, as stated, too low", Change.RISE, ("low", "high"))
    assert second == Slot("debt", ("none", "much"), is_ordered=True)
    assert "phrase" not in second.to_json()
    assert word_reason("income", "low", first.phrase) == "Income, as stated, too low (income: low)"
    assert word_reason("debt", "much") == "Debt: much"


def test_the_reasons_of_an_applicant_are_worded_by_the_owner() -> None:
    class Rule:
        tolerance = 1e-6

        def decide(self, rows: Any, **_: Any) -> np.ndarray:
            return decide(np.array(rows))

    slots, rows = (replace(INCOME, phrase="income too low for this loan"), GENDER, REGION), draw_rows()
    task = DecisionTask("loans", "", "Yes", "No", slots, tuple(map(tuple, rows)), (), len(rows), "")
    poor = [at for at, row in enumerate(rows) if row[0] == 0 and row[2] == 0][:1]
    (found,) = read_applicants(Rule(), task, tabulate(slots), rows, poor, (), 0.1)
    assert [one.wording for one in found.reasons] == ["Income too low for this loan (income: low)"]
    assert found.reasons_state.startswith("Established")


def test_more_combinations_than_can_all_be_run_are_refused() -> None:
    with pytest.raises(Refused):
        parse_slots("; ".join(f"s{at} = a < b < c < d < e < f" for at in range(5)))
