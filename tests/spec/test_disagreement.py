"""Scores over a set against effects on it: a conflict needs whole intervals on both sides."""

from __future__ import annotations

import pytest

from audit_core.stats.disagreement import Conflict, find_sign, list_orders, list_signs, magnitude
from audit_core.stats.estimates import Estimate


def make(low: float | None, high: float | None) -> Estimate:
    value = 0.5 if low is None or high is None else (low + high) / 2
    return Estimate(value, low, high, 20, "logits", None if low is None else 0.95, 5)


@pytest.mark.parametrize(
    ("score", "effect", "is_conflict"),
    [
        (make(0.1, 0.3), make(-2, -1), True),
        (make(-0.3, -0.1), make(1, 2), True),
        (make(0.1, 0.3), make(1, 2), False),
        (make(-0.1, 0.3), make(-2, -1), False),
        (make(0.1, 0.3), make(-2, 0.1), False),
        (make(0.1, 0.3), make(None, None), False),
    ],
)
def test_opposite_signs_count_by_whole_intervals(score: Estimate, effect: Estimate, is_conflict: bool) -> None:
    expected = (Conflict("m", "sign", "a", ""),) if is_conflict else ()
    assert list_signs("m", {"a": score, "b": score}, {"a": effect}) == expected


def test_an_order_is_a_conflict_only_where_neither_pair_of_intervals_overlaps() -> None:
    """a above b above c by score. By effect b is above a; c overlaps with both."""
    scores = {"a": make(0.6, 0.7), "b": make(0.3, 0.4), "c": make(0.0, 0.1), "d": make(0.9, 1.0)}
    effects = {"a": make(1, 2), "b": make(3, 4), "c": make(1.5, 3.5)}
    assert list_orders("m", scores, effects) == (Conflict("m", "order", "a", "b"),)
    assert list_orders("m", dict(reversed(scores.items())), effects) == (Conflict("m", "order", "a", "b"),)


@pytest.mark.parametrize(("low", "high", "ends"), [(-3, -1, (1, 3)), (1, 3, (1, 3)), (-1, 3, (0, 3)), (-4, 1, (0, 4))])
def test_the_size_of_an_effect_holds_every_size_that_its_interval_allows(
    low: float, high: float, ends: tuple[float, float]
) -> None:
    found = magnitude(make(low, high))
    assert (found.low, found.high) == ends
    assert found.value == abs(low + high) / 2


def test_without_an_interval_nothing_is_compared() -> None:
    assert magnitude(make(None, None)).low is None
    assert find_sign(make(None, None)) == 0
