"""Estimates by hand, and intervals on data whose truth is known."""

import numpy as np
import pytest

from audit_core.errors import NotMeasured
from audit_core.stats import bootstrap
from audit_core.stats.bootstrap import (
    bootstrap_mean,
    bootstrap_ratio,
    bootstrap_ratios,
    draw_weights,
    expanded_tail,
    quantiles,
    rank_agreement,
)
from audit_core.stats.estimates import format_estimate


def test_a_ratio_is_of_means_and_not_a_mean_of_ratios() -> None:
    """(1 + 8) / (2 + 4) = 1.5, where the mean of ratios would be (0.5 + 2) / 2 = 1.25."""
    found = bootstrap_ratio(np.array([1.0, 8.0]), np.array([2.0, 4.0]), ("a", "b"), unit="u", seed=0)
    assert found.value == pytest.approx(1.5)
    assert (found.n, found.unit, found.level) == (2, "u", 0.95)


def test_one_template_has_no_interval_however_many_prompts() -> None:
    found = bootstrap_mean(np.arange(50.0), ("same",) * 50, unit="u", seed=0)
    assert (found.low, found.high, found.level) == (None, None, None)
    assert bootstrap_mean(np.arange(50.0), ("a", "b") * 25, unit="u", seed=0).low is not None


def test_two_templates_have_the_interval_of_students_t() -> None:
    """Templates with means 1 and 3: standard error 1, and t with one degree of freedom is 12.706."""
    found = bootstrap_mean(np.array([0.0, 2.0, 3.0, 3.0]), ("a", "a", "b", "b"), unit="u", seed=0)
    assert (found.value, found.low, found.high) == (
        2.0,
        pytest.approx(-10.706, abs=1e-3),
        pytest.approx(14.706, abs=1e-3),
    )


def test_one_prompt_has_no_interval_and_no_level() -> None:
    found = bootstrap_mean(np.array([5.0]), ("a",), unit="u", seed=0)
    assert (found.value, found.low, found.high, found.n, found.level) == (5.0, None, None, 1, None)


def test_a_gap_that_is_zero_or_may_have_either_sign_has_no_fraction() -> None:
    for gap in ([1.0, -1.0, 0.0], [3.0, -2.0, 0.5]):
        with pytest.raises(NotMeasured):
            bootstrap_ratio(np.ones(3), np.array(gap), ("a", "b", "c"), unit="u", seed=0)
    assert bootstrap_ratio(np.ones(3), np.array([1.0, 2.0, 3.0]), ("a", "b", "c"), unit="u", seed=0).value == 0.5


def test_a_template_without_a_gap_among_many_makes_no_nan() -> None:
    """One draw in 3125 holds that template alone, and 0/0 would spoil every quantile."""
    gap = np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    found = bootstrap_ratio(2 * gap, gap, tuple("abcde"), unit="u", seed=0)
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize("shape", [(1,), (2,), (9_990,), (3, 500)])
def test_quantiles_are_those_of_numpy_bit_for_bit(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    for shares in ((0.025, 0.975), (0.95,), (0.0, 0.5, 1.0), (0.3, 0.3)):
        assert (quantiles(values, shares) == np.quantile(values, shares, axis=-1)).all()
    values[..., -1] = np.nan
    assert np.isnan(quantiles(values, (0.1, 0.9))).all()


def test_another_level_of_the_same_numbers_reuses_their_draws_and_gives_what_it_gives_alone() -> None:
    values, clusters = np.random.default_rng(1).normal(2, 1, 24), tuple("abcdefgh" * 3)

    def ask(level: float, seed: int = 0) -> tuple[float | None, float | None]:
        found = bootstrap_mean(values, clusters, unit="u", seed=seed, level=level)
        return found.low, found.high

    alone = {}
    for level in (0.9, 0.95, 0.99):
        bootstrap._keep_draws.cache_clear()
        alone[level] = ask(level)
    bootstrap._keep_draws.cache_clear()
    assert {level: ask(level) for level in alone} == alone
    assert bootstrap._keep_draws.cache_info().misses == 1
    assert ask(0.95, seed=1) != alone[0.95]
    values[0] += 1
    assert ask(0.95) != alone[0.95]


def test_many_series_share_their_draws_and_equal_one_at_a_time() -> None:
    rng = np.random.default_rng(0)
    above, below, names = rng.normal(size=(4, 12)), rng.uniform(1, 2, 12), tuple("abcd" * 3)
    together = bootstrap_ratios(above, below, names, unit="u", seed=3)
    assert together == tuple(bootstrap_ratio(row, below, names, unit="u", seed=3) for row in above)


def test_a_seed_gives_the_interval_again_and_another_seed_another() -> None:
    rng = np.random.default_rng(0)
    values, names = rng.normal(size=24), tuple("abcdefghijkl" * 2)
    first, again, other = (bootstrap_mean(values, names, unit="u", seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.value == other.value
    assert first.low != other.low


def test_nothing_is_clipped() -> None:
    found = bootstrap_ratio(np.array([3.0, 3.0]), np.array([2.0, 2.0]), ("a", "b"), unit="u", seed=0)
    assert (found.value, found.low, found.high) == (1.5, 1.5, 1.5)


def test_whole_templates_are_drawn() -> None:
    weights = draw_weights(("a", "a", "b", "c", "c", "c"), seed=0, draws=200)
    assert weights is not None
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(1) == 3).all()


def test_weights_belong_to_the_caller_and_come_again_unchanged() -> None:
    first, again = (draw_weights(("a", "b", "c"), seed=0, draws=50) for _ in range(2))
    assert first is not None
    assert again is not None
    before = again.copy()
    first[:] = 0
    third = draw_weights(("a", "b", "c"), seed=0, draws=50)
    assert third is not None
    assert (again == before).all()
    assert (third == before).all()


def test_the_tail_is_students_and_wider_for_fewer_templates() -> None:
    """K = 5: Φ(√(5/4) · t₄(0.025)) = Φ(1.1180 · −2.7764) = Φ(−3.1041) = 0.000954."""
    assert expanded_tail(5, 0.95) == pytest.approx(0.000954, abs=2e-6)
    assert expanded_tail(5, 0.95) < expanded_tail(12, 0.95) < expanded_tail(1000, 0.95) < 0.02501


def cover(n_templates: int, per_template: int, seed: int, *, clustered: bool) -> bool:
    """Does the interval hold the true mean 0 of prompts that share half of their variance with their template?"""
    rng = np.random.default_rng(seed)
    values = (rng.normal(size=(n_templates, 1)) + rng.normal(size=(n_templates, per_template))).ravel()
    names = np.repeat(np.arange(n_templates), per_template) if clustered else np.arange(values.size)
    found = bootstrap_mean(values, tuple(map(str, names)), unit="u", seed=seed)
    assert found.low is not None
    assert found.high is not None
    return found.low <= 0 <= found.high


def test_intervals_hold_the_truth_as_often_as_they_say_and_prompts_taken_as_independent_do_not() -> None:
    """12 templates of 8 prompts, 200 samples: 95 % ± 4.6 % (three standard errors). Prompts that share half of their
    variance make the mean vary 1 + 7/2 = 4.5 times as much as independent ones, so ignoring templates covers
    2Φ(1.96/√4.5) − 1 = 64 %."""
    clustered = np.mean([cover(12, 8, seed, clustered=True) for seed in range(200)])
    ignoring = np.mean([cover(12, 8, seed, clustered=False) for seed in range(40)])
    assert 0.90 <= clustered <= 0.995
    assert ignoring < 0.85


def covers_ratio(seed: int) -> bool:
    """Templates whose gaps and shares vary together: the true ratio of means is E[s·g]/E[g] = 0.5 + 0.1/2 = 0.55."""
    rng = np.random.default_rng(seed)
    gap, share = np.zeros(80), np.zeros(80)
    for template in range(10):
        rows = slice(template * 8, template * 8 + 8)
        high = rng.random() < 0.5
        gap[rows] = (3 if high else 1) + 0.3 * rng.normal(size=8)
        share[rows] = (0.6 if high else 0.4) + 0.1 * rng.normal(size=8)
    found = bootstrap_ratio(share * gap, gap, tuple(str(n // 8) for n in range(80)), unit="u", seed=seed)
    assert found.low is not None
    assert found.high is not None
    return found.low <= 0.55 <= found.high


def test_the_interval_of_a_ratio_holds_the_ratio_of_true_means() -> None:
    """(0.6·3 + 0.4·1)/(3 + 1) = 0.55, where the mean of ratios would be 0.5. 200 samples: 95 % ± 4.6 %."""
    assert 0.90 <= np.mean([covers_ratio(seed) for seed in range(200)]) <= 0.995


def test_rank_agreement_is_one_when_order_agrees_and_compares_size_not_sign() -> None:
    looks = np.arange(20.0)[:, None].repeat(6, 1)
    acts = looks * np.where(np.arange(20) % 2, -1, 1)[:, None]
    assert rank_agreement(looks, acts, ("a", "b") * 3, seed=0).value == pytest.approx(1.0)
    assert rank_agreement(looks, acts[::-1], ("a", "b") * 3, seed=0).value == pytest.approx(-1.0)


def test_heads_that_all_measure_the_same_have_no_order() -> None:
    with pytest.raises(NotMeasured, match="order cannot be compared"):
        rank_agreement(np.ones((5, 2)), np.arange(10.0).reshape(5, 2), ("a", "b"), seed=0)


def test_an_estimate_is_written_with_interval_unit_level_and_n() -> None:
    found = bootstrap_mean(np.array([1.0, 3.0]), ("a", "b"), unit="logits", seed=0)
    assert format_estimate(found) == f"2.00 [{found.low:.2f}, {found.high:.2f}] logits (95 %, n = 2)"
    assert (
        format_estimate(bootstrap_mean(np.array([1.0]), ("a",), unit="logits", seed=0))
        == "1.00 logits (no interval, n = 1)"
    )


def test_the_interval_equals_a_loop_over_draws() -> None:
    """Every draw of templates studentised by hand, with the widest end of the three intervals on each side."""
    rng, k, level = np.random.default_rng(4), 6, 0.95
    names = tuple("aabbbbccddddeeefff")
    above, below = rng.normal(size=18) ** 3 + 1, rng.uniform(1, 3, 18)
    found = bootstrap_ratio(above, below, names, unit="u", seed=7, level=level)
    weights = draw_weights(names, seed=7)
    assert weights is not None

    def studentise(weight: np.ndarray, centre: float) -> tuple[float, float]:
        ratio = (weight * above).sum() / (weight * below).sum()
        left = [(weight[rows] * (above[rows] - ratio * below[rows])) for rows in members]
        times = [weight[rows][0] for rows in members]
        squares = sum(rest.sum() ** 2 / count for rest, count in zip(left, times, strict=True) if count)
        error = np.sqrt(squares / (k * (k - 1))) / abs((weight * below).sum() / k)
        return ratio - centre, error

    members = [[at for at, name in enumerate(names) if name == one] for one in "abcdef"]
    value = above.sum() / below.sum()
    _, error = studentise(np.ones(18), value)
    t = []
    for weight in weights:
        if len({name for name, count in zip(names, weight, strict=True) if count}) > 1:
            moved, own = studentise(weight, value)
            t.append(moved / max(own, 0.2 * error))
    student = 2.5706
    symmetric = max(student, float(np.quantile(np.abs(t), level)))
    low = value - max(symmetric, float(np.quantile(t, 0.975))) * error
    high = value + max(symmetric, -float(np.quantile(t, 0.025))) * error
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
    assert high - low > 2.02 * student * error, "skewed: one end is further out than Student's t"


def test_draws_of_one_template_and_draws_without_a_gap_are_left_out() -> None:
    """A draw of one template has no spread, and a draw whose gaps add up to zero has no ratio."""
    for k in (2, 5):
        assert (bootstrap._draw_picks(k, 0, bootstrap.DRAWS) > 0).sum(1).min() == 1, "control: there are such draws"
        assert (bootstrap._draw_several(k, 0, bootstrap.DRAWS) > 0).sum(1).min() == 2
    gaps = np.array([-7.0] + [5.0] * 11)
    assert (bootstrap._draw_picks(12, 0, bootstrap.DRAWS) @ gaps == 0).any(), "control: there are such draws"
    found = bootstrap.bootstrap_ratio(np.arange(12.0), gaps, [f"t{i:02}" for i in range(12)], unit="", seed=0)
    assert found.low is not None
    assert found.high is not None
    assert np.isfinite([found.low, found.high]).all()
    assert found.low < found.value < found.high
