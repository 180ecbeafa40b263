"""The page about changes: the change log, an incident, and two versions compared."""

from __future__ import annotations

from pathlib import Path

from toy.register import freeze_by_hand, tell_attempt

from tests.pages.test_claims_page import HOSTILE, open_page


def test_an_empty_log_says_how_it_fills(home: Path) -> None:
    test = open_page("changes")
    assert not test.exception
    assert any("revalidate" in one.value for one in test.markdown)


def test_an_incident_makes_a_claim_stale_and_is_in_the_log(home: Path) -> None:
    tell_attempt(home, freeze_by_hand(home), "0" * 32, "supported")
    test = open_page("changes")
    test.selectbox(key="incident_claim").set_value("C-0001")
    test.text_input(key="incident_reason").set_value(HOSTILE)
    next(one for one in test.button if one.label == "Mark the claim as stale").click().run()
    assert not test.exception
    table = next(one.value for one in test.dataframe if "what changed" in one.value.columns)
    assert list(table["claim"]) == ["C-0001"]
    card = open_page("models", model="toy")
    status = next(one.value for one in card.dataframe if "status" in one.value.columns)
    assert list(status["status"]) == ["stale"]


def test_an_incident_without_words_is_refused(home: Path) -> None:
    freeze_by_hand(home)
    test = open_page("changes")
    next(one for one in test.button if one.label == "Mark the claim as stale").click().run()
    assert test.error


def test_a_model_that_is_nowhere_is_refused(home: Path) -> None:
    test = open_page("changes", before="/nowhere/at/all", after="planted-induction")
    test.button(key="compare").click().run()
    for _ in range(50):
        if test.error:
            break
        test.run()
    assert "nowhere" in test.error[0].value
