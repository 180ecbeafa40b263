"""The region rule, on any interval: one state, symmetric, and never stronger for a wider interval."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audit_core.judging.verdict import State, classify
from audit_core.stats.estimates import Estimate

deltas = st.floats(0.01, 1)
sizes = st.floats(-3, 3)
ends = st.tuples(sizes, sizes).map(sorted)
nested = st.tuples(sizes, sizes, sizes, sizes).map(sorted).map(lambda four: ([four[0], four[3]], [four[1], four[2]]))
"""A wide interval, and a narrow one inside it."""


def interval(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high, 60, "u", 0.95)


@given(ends, deltas)
def test_the_state_is_where_the_whole_interval_lies(pair: list[float], delta: float) -> None:
    low, high = pair
    inside = {
        State.SUPPORTED: low > delta,
        State.REVERSED: high < -delta,
        State.NEGLIGIBLE: -delta < low and high < delta,
    }
    assert sum(inside.values()) <= 1
    expected = next((state for state, holds in inside.items() if holds), State.INCONCLUSIVE)
    assert classify(interval(low, high), delta) is expected


@given(ends, deltas)
def test_turning_the_effect_over_turns_the_state_over(pair: list[float], delta: float) -> None:
    turned = {State.SUPPORTED: State.REVERSED, State.REVERSED: State.SUPPORTED}
    state = classify(interval(*pair), delta)
    assert classify(interval(-pair[1], -pair[0]), delta) is turned.get(state, state)


@given(nested, deltas)
def test_a_wider_interval_says_the_same_or_nothing(pair: tuple[list[float], list[float]], delta: float) -> None:
    wide, narrow = (classify(interval(*one), delta) for one in pair)
    assert wide in (State.INCONCLUSIVE, narrow)


@given(nested, deltas)
def test_the_narrow_interval_decides_on_negligible_alone(pair: tuple[list[float], list[float]], delta: float) -> None:
    """Two one-sided tests at α are one interval at 1 − 2α; support and reversal stay with the wide one."""
    wide, narrow = pair
    alone, together = classify(interval(*wide), delta), classify(interval(*wide), delta, narrow=interval(*narrow))
    if alone is not State.INCONCLUSIVE:
        assert together is alone
    else:
        assert together in (State.INCONCLUSIVE, State.NEGLIGIBLE)


@given(sizes, deltas)
def test_a_number_without_an_interval_decides_nothing(value: float, delta: float) -> None:
    assert classify(Estimate(value, None, None, 1, "u", None), delta) is State.INCONCLUSIVE
