"""The calibration page: every tab draws what the shipped records have."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.test_claims_page import open_page

TABS = ("Role vs. verdict", "Coverage", "Check of ranges", "Experts", "Default model", "Single rules", "Planted models")


def open_tab(name: str) -> AppTest:
    test = open_page("calibration")
    test.session_state["calibration-tabs"] = name
    return test.run()


@pytest.mark.parametrize("name", TABS)
def test_every_tab_draws(name: str) -> None:
    test = open_tab(name)
    assert not test.exception
    assert test.session_state["calibration-tabs"] == name


def test_the_page_says_where_intervals_are_too_narrow() -> None:
    test = open_tab("Coverage")
    assert any("one template in ten, 12 templates" in one.value for one in test.markdown)
    (table,) = [one.value for one in test.dataframe if "templates" in one.value.columns]
    assert len(table) == 5


def test_shares_of_experts_say_that_they_are_not_clustered() -> None:
    test = open_tab("Experts")
    assert any("clustered by mixture: not measured" in one.value for one in test.markdown)
    assert any("decoys called supported on any sample" in one.value.to_string() for one in test.dataframe)
