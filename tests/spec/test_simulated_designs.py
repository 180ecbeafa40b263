"""Coverage of the verdict's interval in simulated designs: the record is that of the documented table, and it meets its bounds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from audit_core.calibration.designs import SimulatedDesign, describe_below, list_below, load_designs
from audit_core.calibration.report import PAGE, load_calibration, write_markdown

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import intervals  # noqa: E402


def test_the_record_is_that_of_the_documented_table() -> None:
    assert list(load_designs()) == intervals.read_designs()
    assert {(one.design, one.templates) for one in load_designs()} == {
        (design.name, k) for design in intervals.DESIGNS for k in intervals.SIZES
    }


def test_the_documented_page_is_made_of_the_records() -> None:
    found = load_calibration()
    assert found is not None
    assert PAGE.read_text(encoding="utf-8") == write_markdown(found)


def test_intervals_hold_in_nearly_every_design() -> None:
    """At least 0.94 with 5 templates of normal or t effects, and 0.93 elsewhere but with a rare kind of template."""
    for one in load_designs():
        if one.design in ("normal", "t with 3 degrees") and one.templates == 5:
            assert one.covered >= 0.94 * one.samples, one
        if one.design != "one template in ten":
            assert one.covered >= 0.93 * one.samples, one


def test_a_design_is_below_only_beyond_chance_and_the_lowest_is_named() -> None:
    """Of 1,000 samples, 0.95 lies in the interval of 940, [0.924, 0.953], and above that of 930, [0.912, 0.944]."""
    designs = [SimulatedDesign(name, 5, 1_000, covered) for name, covered in (("a", 940), ("b", 930), ("c", 900))]
    assert [one.design for one in list_below(designs)] == ["c", "b"]
    assert describe_below(designs).startswith("An interval states 95%. In 2 of 3 simulated designs")
    assert "Lowest: c, 5 templates, 90.0 % [88.0, 91.7] of 1,000 samples." in describe_below(designs)
    assert describe_below(designs[:1]).endswith("it contains the true effect less often than that.")


@pytest.mark.parametrize("name", ["normal", "t with 3 degrees"])
def test_a_new_simulation_agrees_with_the_record(name: str) -> None:
    """200 samples: the former interval contains the effect in 0.91 of them, which this would notice."""
    design = next(one for one in intervals.DESIGNS if one.name == name)
    now = intervals.measure_design(design, 5, intervals.take_present, trials=200, checks_templates=True)
    former = intervals.measure_design(design, 5, intervals.take_former, trials=200, checks_templates=False)
    assert now["cover"] >= 0.95 > former["cover"]
    assert now["supported"] <= 0.030
