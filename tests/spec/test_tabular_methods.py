"""Methods on rows of numbers, on functions whose answers are worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from audit_core.decisions.slots import Change
from audit_core.errors import ControlFailed, Refused
from audit_core.tabular.alternatives import cut_quarters, find_alternatives, find_quarter, find_row_anchor, name_quarter
from audit_core.tabular.attributions import shapley_of_row
from audit_core.tabular.effects import (
    Neighbours,
    accumulated_effects,
    individual_curves,
    make_grid,
    permuted_losses,
)
from audit_core.tabular.readable import compare_auc
from audit_core.tabular.scoring import score
from audit_core.tabular.table import Feature, Reading, make_task, parse_marks, read_table


def add_up(rows: np.ndarray) -> np.ndarray:
    """2 x₀ − x₁; the last feature is not read."""
    return 2 * rows[..., 0] - rows[..., 1]


def draw_rows(n: int = 200, d: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def test_shapley_values_of_the_worked_example_are_read_from_a_model_of_numbers() -> None:
    """v() = 0.10, v(D) = 0.30, v(I) = 0.05, v(DI) = 0.32: φ_D = 0.235, φ_I = −0.015, with one background row of zeros."""

    def worked(rows: np.ndarray) -> np.ndarray:
        debt, income = rows[..., 0], rows[..., 1]
        return 0.10 + 0.20 * debt - 0.05 * income + 0.07 * debt * income

    found = shapley_of_row(worked, np.ones(2), np.zeros((1, 2)), seed=0)
    assert found.values == pytest.approx([0.235, -0.015], abs=1e-12)
    assert not found.errors.any()


@pytest.mark.parametrize("d", [3, 12])
def test_shapley_values_of_a_sum_are_each_features_own_difference(d: int) -> None:
    rows = draw_rows(50, d)
    found = shapley_of_row(add_up, rows[0], rows, seed=1)
    wanted = np.zeros(d)
    wanted[:2] = 2 * (rows[0, 0] - rows[:, 0].mean()), -(rows[0, 1] - rows[:, 1].mean())
    if d == 3:
        assert found.values == pytest.approx(wanted, abs=1e-9)
    else:
        assert (np.abs(found.values - wanted) <= 5 * found.errors + 1e-12).all()
        assert found.errors[0] > 0
        assert found.values[2:] == pytest.approx(0), "a feature that is not read gets nothing in any order"


def test_sampled_values_share_an_interaction_equally_and_add_up() -> None:
    def both(rows: np.ndarray) -> np.ndarray:
        return rows[..., 0] * rows[..., 1]

    found = shapley_of_row(both, np.ones(11), np.zeros((1, 11)), seed=0)
    assert found.values[:2] == pytest.approx([0.5, 0.5], abs=1e-12), "an order and its reverse halve it exactly"
    assert found.values.sum() == pytest.approx(1)


def test_partial_dependence_is_the_mean_of_the_individual_curves() -> None:
    """Three rows have 5, 3 and 7 at the second point: the mean is 5.0."""
    rows = np.array([[0.0, 5.0], [1.0, 3.0], [0.0, 7.0]])
    curves = individual_curves(lambda asked: asked[..., 0] * asked[..., 1], rows, 0, np.array([0.0, 1.0]))
    assert curves[:, 1] == pytest.approx([5, 3, 7])
    assert curves.mean(0)[1] == pytest.approx(5.0)


def test_accumulated_effects_leave_out_rows_that_partial_dependence_makes_up() -> None:
    """x₁ = x₀ in every row, and f = x₀ + 10 where x₀ > 0.9 and x₁ < 0.1: no row is near that."""
    x = np.linspace(0, 1, 101)
    rows = np.column_stack([x, x])

    def worked(asked: np.ndarray) -> np.ndarray:
        return asked[..., 0] + 10.0 * ((asked[..., 0] > 0.9) & (asked[..., 1] < 0.1))

    grid = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    curve, n = accumulated_effects(worked, rows, 0, grid)
    assert curve == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])
    assert n.tolist() == [26, 25, 25, 25]
    partial = individual_curves(worked, rows, 0, grid).mean(0)
    assert partial[-1] - partial[0] == pytest.approx(1 + 10 * 10 / 101)
    near = Neighbours(rows)
    assert near.is_far(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist() == [True, False]


def test_a_step_without_rows_has_no_accumulated_effect() -> None:
    rows = np.array([[0.0, 0.0], [1.0, 0.0]])
    curve, n = accumulated_effects(add_up, rows, 0, np.array([0.0, 0.4, 0.6, 1.0]))
    assert n.tolist() == [1, 0, 1]
    assert np.isnan(curve[2:]).all()
    assert curve[1] == pytest.approx(0.8)


def test_permuting_costs_what_a_feature_tells_and_an_unread_one_costs_nothing() -> None:
    rows = draw_rows(400)
    outcomes = rows[:, 0] > 0
    before = 4 * rows[:, 0]

    def decide(asked: np.ndarray) -> np.ndarray:
        return 4 * asked[..., 0]

    assert permuted_losses(decide, rows, 0, outcomes, before, seed=0).mean() > 0.5
    assert permuted_losses(decide, rows, 2, outcomes, before, seed=0) == pytest.approx(0)


def test_few_values_are_the_grid_and_many_are_quantiles() -> None:
    assert make_grid(np.array([0.0, 1.0, 1.0])).tolist() == [0, 1]
    assert len(make_grid(np.linspace(0, 1, 500))) == 9


def test_counterfactuals_change_what_may_change_in_its_direction_and_turn_the_decision() -> None:
    rows = draw_rows(200)
    features = (Feature("a", Change.RISE), Feature("b", Change.ANY, is_protected=True), Feature("c"))
    row = np.array([-1.0, 0.5, 0.0])
    found = find_alternatives(add_up, row, rows, features, Neighbours(rows))
    assert found
    for one in found:
        assert one.changed == (0,)
        assert one.row[0] > row[0]
        assert one.row[1] == row[1]
        assert add_up(one.row) == pytest.approx(one.value)
        assert one.value > 0 > add_up(row)
    fixed = (Feature("a", Change.FALL), Feature("b", Change.NONE), Feature("c"))
    assert find_alternatives(add_up, row, rows, fixed, Neighbours(rows)) == ()


def test_two_features_are_changed_together_where_neither_suffices() -> None:
    def both(asked: np.ndarray) -> np.ndarray:
        return np.minimum(asked[..., 0], asked[..., 1]) - 0.5

    rows = np.random.default_rng(1).random((200, 3))
    found = find_alternatives(
        both, np.array([0.1, 0.1, 0.5]), rows, (Feature("a"), Feature("b"), Feature("c")), Neighbours(rows)
    )
    assert [one.changed for one in found] == [(0, 1)]


def test_an_anchor_names_the_range_that_decides_and_its_bound_holds() -> None:
    """The decision is x₀ above its upper quarter: a rule on x₀ alone keeps it in all rows."""
    rows = np.random.default_rng(2).random((160, 3))
    edges = cut_quarters(rows)

    def decide(asked: np.ndarray) -> np.ndarray:
        return np.where(asked[..., 0] > edges[0][2], 1.0, -1.0)

    row = np.array([0.95, 0.5, 0.5])
    found, used = find_row_anchor(decide, row, rows, edges, np.array([1.0, 0.2, 0.1]))
    assert used == (0,)
    assert found.precision.value == 1
    assert found.precision.low is not None
    assert 0.9 < found.precision.low < 1
    assert found.coverage.value == pytest.approx((find_quarter(edges, rows)[1::2, 0] == 3).mean())
    assert name_quarter(edges[0], 3).startswith("> ")


def test_the_lead_of_a_model_over_itself_is_nothing_and_over_noise_is_its_own() -> None:
    outcomes = np.arange(100) % 2 == 0
    values = np.where(outcomes, 1.0, -1.0)
    auc, lead = compare_auc(values, values, outcomes, seed=0)
    assert (auc.value, lead.value, lead.low, lead.high) == (1, 0, 0, 0)
    _, lead = compare_auc(np.zeros(100), values, outcomes, seed=0)
    assert lead.value == pytest.approx(0.5)


def test_outputs_become_log_odds_or_stay_scores() -> None:
    assert score(np.array([[0.2, 0.8]]), 1, Reading.PROBABILITY) == pytest.approx(np.log(4))
    assert score(np.array([[0.8]]), 1, Reading.PROBABILITY) == pytest.approx(np.log(4))
    assert score(np.array([[-3.0]]), 1, Reading.SCORE) == pytest.approx(-3)
    assert score(np.array([[1.0, 3.0]]), 1, Reading.SCORE) == pytest.approx(2)
    for outputs in (np.array([[2.0]]), np.array([[0.2, 0.2]]), np.array([[0.1, 0.2, 0.7]]), np.zeros((2, 1))):
        with pytest.raises(Refused):
            score(outputs, 1, Reading.PROBABILITY)
    with pytest.raises(ControlFailed):
        score(np.array([[np.nan]]), 1, Reading.SCORE)


def test_marks_say_what_may_change() -> None:
    found = parse_marks("age, protected; income, may rise", ("age", "income", "debt"))
    assert [(one.change, one.is_protected) for one in found] == [
        (Change.ANY, True), (Change.RISE, False), (Change.ANY, False),
    ]  # fmt: skip
    for text in ("size, may rise", "age", "age, may jump"):
        with pytest.raises(Refused):
            parse_marks(text, ("age", "income"))


def write_rows(n: int = 50, extra: str = "") -> bytes:
    lines = [f"{at},{at % 7},{'ab'[at % 2]}{extra}" for at in range(n)]
    return ("x,y,right\n" + "\n".join(lines)).encode()


def test_a_file_is_divided_into_fitted_and_held_out_rows() -> None:
    task = read_table(write_rows(), name="own", outcome="right", yes="a")
    assert [one.name for one in task.features] == ["x", "y"]
    assert task.outcomes is not None
    assert task.outcomes[:2].tolist() == [True, False]
    assert np.array_equal(task.fit_rows, task.rows[~task.is_held_out])
    assert not read_table(write_rows(), name="own", outcome="right", yes="b").outcomes[0]  # type: ignore[index]
    big = make_task(draw_rows(700), ("a", "b", "c"))
    assert len(big.rows) == 300
    assert big.notices[0].startswith("400 of 700")


@pytest.mark.parametrize(
    ("raw", "asked", "words"),
    [
        (b"\xff\xfe", {}, "parse"),
        (b"x" * 4_000_001, {}, "bytes"),
        (b"", {}, "header"),
        (b"x,x\n1,2\n", {}, "header"),
        (b"x,y\n1\n", {}, "line 2"),
        (write_rows(), {"outcome": "right", "yes": "c"}, "not among"),
        (write_rows(), {"outcome": "x", "yes": "1", "split": "right"}, "50 values"),
        (write_rows(), {"outcome": "wrong"}, "No column"),
        (write_rows(), {"split": "right"}, "fit and test"),
        (write_rows(), {}, "number"),
        (write_rows(20), {"outcome": "right", "yes": "a"}, "20 rows"),
        (write_rows().replace(b"3,3", b"inf,3"), {"outcome": "right", "yes": "a"}, "finite"),
        (b"x\n" + b"1\n" * 50, {}, "2 to 60"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused(raw: bytes, asked: dict[str, str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        read_table(raw, name="own", **asked)  # type: ignore[arg-type]
