"""A planted proxy in a table: reasons, mediation, group rates, and what removing and retraining can and cannot say."""

from __future__ import annotations

import numpy as np
import pytest

from audit_core.errors import NotMeasured
from audit_core.tabular import EstimatorTables, TabularResult, make_task, measure_table, retrain_without
from audit_core.tabular.fairness import cut_levels, divide_groups
from audit_core.tabular.readable import LEAST_CLASS
from audit_core.tabular.retrain import LESS, LIKE_RANDOM, MORE, draw_sets
from audit_core.tabular.table import TableTask

NAMES = ("income", "gender", "region", "noise")


class Planted:
    """Log odds 1.5 income − 2 region + 1: gender is never read, and goes with the region in 85 % of rows."""

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        yes = 1 / (1 + np.exp(-(1.5 * rows[:, 0] - 2 * rows[:, 2] + 1)))
        return np.column_stack([1 - yes, yes])


class Biased(Planted):
    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        yes = 1 / (1 + np.exp(-(1.5 * rows[:, 0] - 2 * rows[:, 1] + 1)))
        return np.column_stack([1 - yes, yes])


def make(n: int = 200) -> TableTask:
    draw = np.random.default_rng(0)
    gender = (draw.random(n) < 0.5).astype(float)
    region = np.where(draw.random(n) < 0.85, gender, 1 - gender)
    rows = np.column_stack([draw.normal(size=n), gender, region, draw.normal(size=n)])
    outcomes = Planted().predict_proba(rows)[:, 1] > 0.5
    return make_task(rows, NAMES, outcomes=outcomes, marks="gender, protected")


@pytest.fixture(scope="module")
def planted() -> TabularResult:
    return measure_table(EstimatorTables(Planted(), 4), make())


def test_a_proxy_is_found_by_mediation_and_missed_by_changing_the_attribute_alone(planted: TabularResult) -> None:
    """P(region 1 | woman) − P(region 1 | man) is about 0.7, times −2 logits; nothing else carries the attribute."""
    by_name = {row.mediator: row for row in planted.through}
    task = make()
    men, women = (task.rows[task.rows[:, 1] == value, 2].mean() for value in (0, 1))
    assert by_name["region"].indirect.value == pytest.approx(-2 * (women - men))
    assert by_name["region"].direct.value == pytest.approx(0)
    assert [name for name, row in by_name.items() if row.is_proxy] == ["region"]
    assert set(planted.misses) == {
        f"gender: {method}" for method in ("changing it alone", "permutation importance", "Shapley values", "LIME")
    }
    assert "Through region" in planted.finding


def test_rates_by_group_are_those_of_the_rows(planted: TabularResult) -> None:
    task = make()
    yes = Planted().predict_proba(task.rows)[:, 1] > 0.5
    for row in planted.groups:
        own = task.rows[:, 1] == float(row.level)
        assert row.selected is not None
        assert row.selected.value == pytest.approx(yes[own].mean())
        assert row.n == own.sum()
        assert (row.selected.low or 0) < row.selected.value < (row.selected.high or 1)
        assert row.true_positive is not None
        # The outcomes are the model's own decisions.
        assert row.true_positive.value == 1


def test_reasons_of_a_no_are_measured_and_a_protected_feature_stops_them(planted: TabularResult) -> None:
    denied = [row for row in planted.cases if not row.is_yes]
    assert denied
    for row in denied:
        assert {one.slot for one in row.reasons} <= {"income", "region"}
        assert row.reasons_state.startswith(("Established by running", "Not established: together"))
        assert all(one.is_proxy is (one.slot == "region") for one in row.reasons)
    assert any("Established by running" in row.reasons_state for row in denied)
    assert all(not row.reasons_state for row in planted.cases if row.is_yes)
    biased = measure_table(EstimatorTables(Biased(), 4), make())
    for one in biased.through:
        assert one.direct.value == pytest.approx(-2)
        assert one.indirect.value == pytest.approx(0, abs=0.4 if one.mediator == "income" else 1e-9)
    women = [row for row in biased.cases if not row.is_yes and "gender 1" in row.values]
    assert women
    assert all("the protected attribute gender" in row.reasons_state for row in women)
    assert all("gender" not in {one.slot for one in row.reasons} for row in women)


def test_removing_what_decides_loses_more_than_removing_anything(planted: TabularResult) -> None:
    """One of four features: without income little is left; a method that puts noise first loses less than the mean of all."""
    task = make()
    rows, why = retrain_without(task, {"income first": [0, 2, 1, 3], "noise first": [3, 1, 2, 0]}, seed=0)
    assert not why
    first = {row.method: row for row in rows if row.share == 0.2}
    assert first["income first"].says == MORE
    assert first["noise first"].says == LESS
    assert first["income first"].lost.value > 0.2
    assert first["income first"].highest == pytest.approx(first["income first"].lost.value)
    assert {row.removed for row in planted.retrained if row.share == 0.2} == {"income"}


def test_a_copy_of_the_feature_that_decides_hides_it_from_retraining() -> None:
    """Retraining measures what the data holds: the model reads the first column alone, and its copy makes up for it."""
    draw = np.random.default_rng(1)
    first = draw.normal(size=160)
    rows = np.column_stack([first, first, draw.normal(size=160)])
    task = make_task(rows, ("read", "copy", "noise"), outcomes=first > 0)
    found, _ = retrain_without(task, {"right": [0, 1, 2]}, seed=0)
    assert found[0].says == LIKE_RANDOM
    assert found[0].lost.value == pytest.approx(0)


def test_nothing_is_retrained_without_outcomes_or_with_too_few() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    assert "no column" in retrain_without(make_task(rows, ("a", "b", "c")), {"m": [0, 1, 2]}, seed=0)[1]
    few = np.arange(60) < LEAST_CLASS
    assert "fewer than" in retrain_without(make_task(rows, ("a", "b", "c"), outcomes=few), {"m": [0, 1, 2]}, seed=0)[1]


def test_random_sets_differ_and_are_all_of_them_where_there_are_few() -> None:
    assert draw_sets(4, 1, seed=0) == [(0,), (1,), (2,), (3,)]
    many = draw_sets(10, 5, seed=0)
    assert len(set(many)) == len(many) == 30
    assert all(len(set(one)) == 5 for one in many)


def test_groups_and_levels_of_a_feature_with_many_values() -> None:
    values = np.arange(90, dtype=float)
    low, high = divide_groups(values)
    assert (low.name, low.value, int(low.members.sum())) == ("≤ 44.5", 22.0, 45)
    assert (high.name, int((low.members & high.members).sum())) == ("> 44.5", 0)
    levels = cut_levels(values)
    assert len(levels.points) == 9
    assert list(np.bincount(levels.of_rows)) == [10] * 9
    assert list(cut_levels(np.array([3.0, 1.0, 3.0])).of_rows) == [1, 0, 1]


def test_a_group_of_fewer_than_five_rows_is_left_out() -> None:
    from audit_core.decisions.fairness import require_groups

    with pytest.raises(NotMeasured):
        require_groups([np.arange(10) < 4, np.arange(10) >= 4])
