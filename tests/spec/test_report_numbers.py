"""Numbers of a report: written as on the dashboard, never rounded across a bound, drawn where they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit_core import Estimate, format_estimate
from audit_core.evidence.report.plot import draw_intervals
from audit_core.evidence.report.quantity import (
    Quantity,
    format_bound,
    format_interval,
    format_number,
    format_quantity,
    read_estimate,
    read_metric,
)

ESTIMATES = (
    Estimate(0.463, 0.382, 0.551, 72, "fraction of the clean–empty gap", 0.95, 12),
    Estimate(0.0123, -0.021, 0.044, 72, "fraction of the clean–empty gap", 0.9, 12),
    Estimate(-0.0, None, None, 1, "logits", None),
    Estimate(17.25, 16.0, 18.5, 40, "logits", 0.95, 40),
    Estimate(3e-7, -2e-7, 8e-7, 40, "logits", 0.95, 8),
)


@pytest.mark.parametrize("estimate", ESTIMATES, ids=lambda e: f"{e.value:g}")
def test_a_number_reads_as_on_the_dashboard(estimate: Estimate) -> None:
    assert format_quantity(read_estimate(estimate.to_json())) == format_estimate(estimate)


def test_a_number_that_is_none_has_its_reason_and_no_digit() -> None:
    row = {"estimate": None, "reason": "no held-out template", "n": 0}
    assert format_quantity(read_metric(row)) == "not measured: no held-out template"


def test_rounding_never_carries_a_number_across_the_bound_it_is_compared_with() -> None:
    """0.7996 under a threshold of 0.80 would read 0.80 beside "does not meet"."""
    assert format_interval(Quantity(0.7996, 0.75, 0.85)) == "0.80 [0.75, 0.85]"
    assert format_interval(Quantity(0.7996, 0.75, 0.85, beside=(0.8,))) == "0.7996 [0.7500, 0.8500]"


@given(st.floats(-2, 2), st.sampled_from([0.1, 0.3, 0.8, 0.95]))
def test_the_written_number_lies_on_the_side_of_the_bound_where_the_number_lies(value: float, bound: float) -> None:
    written = float(format_interval(Quantity(value, beside=(bound,))))
    if abs(value - bound) > 1e-5:
        assert (written > bound) == (value > bound)
        assert (written < bound) == (value < bound)


def test_a_threshold_is_written_in_full() -> None:
    assert [format_bound(bound) for bound in (0.8, 0.3, 0.125, 0.0001, 1000)] == ["0.80", "0.30", "0.125", "0.0001", "1000.00"]  # fmt: skip


@pytest.mark.parametrize("value", [True, "0.5", float("nan"), float("inf"), None, [1]])
def test_what_is_no_finite_number_is_not_read_as_one(value: object) -> None:
    assert read_metric({"estimate": value}).value is None


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=6))
def test_every_mark_lies_on_the_paper_whatever_the_numbers(values: list[float]) -> None:
    rows = [(f"r{i}", Quantity(v, v - 1, v + 1, "logits", 3)) for i, v in enumerate(values)]
    plot = draw_intervals("k", "t", rows, unit="logits", lines=[(0.5, "δ")])
    shares = [s for row in plot.rows for s in (row.at, row.low, row.high) if s is not None]
    assert all(
        -1e-9 <= share <= 1 + 1e-9 for share in [*shares, *(t.at for t in plot.ticks), *(g.at for g in plot.guides)]
    )
    assert len(plot.rows) == len(values)


def test_marks_are_in_proportion_and_zero_is_on_the_axis() -> None:
    plot = draw_intervals("k", "t", [("a", Quantity(1.0)), ("b", Quantity(3.0))], unit="", lines=[(2.0, "δ")])
    zero, delta = plot.guides
    first, second = (row.at for row in plot.rows)
    assert first is not None
    assert second is not None
    assert zero.is_zero
    assert delta.at - zero.at == pytest.approx(2 * (first - zero.at))
    assert second - zero.at == pytest.approx(3 * (first - zero.at))


def test_labels_of_lines_that_are_close_are_set_one_above_the_other() -> None:
    plot = draw_intervals(
        "k", "t", [("a", Quantity(1.0))], unit="", lines=[(0.30, "δ"), (0.31, "policy"), (0.9, "far")]
    )
    assert [guide.level for guide in plot.guides if guide.label] == [0, 1, 0]


def test_a_large_number_is_not_three_hundred_digits_long() -> None:
    assert format_number(1e300) == "1e+300"
