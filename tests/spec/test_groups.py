"""Intervals of groups hold all at once, and differences of two sets of prompts are what was put in."""

from __future__ import annotations

import numpy as np
import pytest

from audit_core.stats.estimates import Estimate
from audit_core.stats.groups import Ratio, contrast_ratios, estimate_groups
from audit_core.stats.measurement import Conditions, Measurement


def test_a_group_by_hand() -> None:
    """Group a: (1 + 3) / (2 + 2) = 1, residuals −1 and 1: error √(2 / (2·1)) / 2 = 0.5; group b stands exactly at 1/2."""
    found = estimate_groups(
        np.array([1.0, 3, 1, 1, 1]), np.array([2.0, 2, 2, 2, 2]), tuple("aabbb"), unit="u", min_gap=0.5, level=0.95
    )
    assert found.names == ("a", "b")
    assert found.estimates[0].value == 1
    # t with one degree of freedom at 1 − 0.05 / 2 / 2: tan(π (0.9875 − 0.5)) = 25.452.
    assert found.estimates[0].high == pytest.approx(1 + 0.5 * 25.452, abs=1e-3)
    assert (found.estimates[1].low, found.estimates[1].high) == (0.5, 0.5)
    assert found.estimates[0].level == pytest.approx(0.975)
    assert found.worst == 1


def test_a_group_without_a_gap_is_named_and_not_measured() -> None:
    found = estimate_groups(np.array([1.0, 1, 5]), np.array([2.0, 2, 0.1]), tuple("aab"), unit="u", min_gap=0.5)
    assert (found.names, found.untested) == (("a",), ("b",))
    nothing = estimate_groups(np.array([1.0]), np.array([0.0]), ("a",), unit="u", min_gap=0.5)
    assert nothing.worst is None
    assert nothing.untested == ("a",)


def test_one_prompt_has_no_interval() -> None:
    (only,) = estimate_groups(np.array([1.0]), np.array([2.0]), ("a",), unit="u", min_gap=0.5).estimates
    assert (only.value, only.low, only.high, only.n) == (0.5, None, None, 1)


def test_all_intervals_hold_at_once_as_often_as_they_say() -> None:
    """Twelve groups of eight prompts, each ratio 0.8: all twelve intervals hold it in at least 95 % of samples, about."""
    rng, held = np.random.default_rng(0), 0
    groups = tuple(f"t{at}" for at in range(12) for _ in range(8))
    for _ in range(400):
        gap = 4 + rng.normal(size=96)
        kept = 0.8 * gap + rng.normal(size=96)
        found = estimate_groups(kept, gap, groups, unit="u", min_gap=0.5)
        held += all(e.low <= 0.8 <= e.high for e in found.estimates)  # type: ignore[operator]
    assert held / 400 > 0.92


def make_ratio(value: float, rng: np.random.Generator) -> Ratio:
    clusters = tuple(f"t{at}" for at in range(10) for _ in range(6))
    shift = np.repeat(rng.normal(size=10), 6)
    gap = 5 + rng.normal(size=60)
    return Ratio(value * gap + shift + rng.normal(size=60), gap, clusters)


def test_a_difference_of_two_tasks_is_judged_by_its_interval() -> None:
    rng, held = np.random.default_rng(1), 0
    for seed in range(150):
        found = contrast_ratios(make_ratio(0.7, rng), make_ratio(0.3, rng), unit="u", seed=seed)
        held += found.low <= 0.4 <= found.high  # type: ignore[operator]
    assert held / 150 > 0.9
    assert (found.n, found.templates) == (120, 20)


def test_tasks_alike_are_not_distinguished_and_one_template_has_no_interval() -> None:
    rng = np.random.default_rng(2)
    same = contrast_ratios(make_ratio(0.5, rng), make_ratio(0.5, rng), unit="u", seed=0)
    assert same.low is not None
    assert same.low < 0 < same.high  # type: ignore[operator]
    one = Ratio(np.ones(3), np.ones(3), ("a",) * 3)
    assert contrast_ratios(one, one, unit="u", seed=0).low is None


def test_a_number_without_its_six_conditions_cannot_be_made() -> None:
    whole = ("nodes", "head", "zero", "all", "noising", "circuit taken away")
    assert [name for name, _ in Conditions(*whole).as_pairs()] == [
        "granularity", "component type", "ablation", "positions", "direction", "set",
    ]  # fmt: skip
    for at in range(6):
        with pytest.raises(ValueError, match="measurement without"):
            Conditions(*(" " if at == place else value for place, value in enumerate(whole)))
    with pytest.raises(TypeError):
        Measurement(Estimate(1.0, None, None, 1, "u", None))  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("low", "high", "within", "beyond"),
    [(-0.05, 0.05, True, False), (-0.05, 0.2, False, False), (0.11, 0.2, False, True), (-0.3, -0.2, False, True), (None, None, False, False)],
)  # fmt: skip
def test_within_and_beyond_are_read_off_the_whole_interval(low: float, high: float, within: bool, beyond: bool) -> None:
    level = None if low is None else 0.95
    conditions = Conditions("nodes", "head", "zero", "all", "noising", "circuit taken away")
    found = Measurement(Estimate(0.1, low, high, 9, "u", level), conditions)
    assert (found.is_within(0.1), found.is_beyond(0.1)) == (within, beyond)
