"""The review desk opened by Streamlit's own test driver: empty, with a pack, and with decisions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from toy.packs import genuine_members, retell, zip_up
from toy.pdf_text import read_pages

from audit_core.evidence.keys import make_key
from audit_core.review.case_file import open_case
from audit_core.review.desk import list_cases, take_pack
from audit_core.store.database.connection import open_database
from tests.pages.test_claims_page import HOSTILE, open_page


@pytest.fixture
def desk(home: Path) -> Path:
    """A pack that Anna prepared, and keys of four people."""
    for person in ("anna", "ben", "cleo", "dora"):
        make_key(home, person)
    take_pack(home, zip_up(genuine_members()), by="anna")
    return home


def decide(test: AppTest, viewer: str, *, role: str = "reviewer", decision: str = "approve") -> AppTest:
    test.selectbox(key="viewer").set_value(viewer).run()
    test.radio(key="role").set_value(role)
    test.radio(key="decision").set_value(decision)
    for key in ("verdicts", "against", "limits"):
        test.checkbox(key=f"read-{key}").check()
    test.text_input(key="independence").set_value("another team")
    press(test, "Check my decision")
    return press(test, "Sign this")


def press(test: AppTest, label: str) -> AppTest:
    return next(one for one in test.button if one.label.startswith(label)).click().run()


def test_an_empty_desk_says_what_to_do(home: Path) -> None:
    test = open_page("desk")
    assert not test.exception
    assert "Nothing to review yet" in test.info[0].value


def test_without_a_key_no_one_decides_and_one_is_made_on_the_page(home: Path) -> None:
    take_pack(home, zip_up(genuine_members()), by="anna")
    test = open_page("desk")
    assert not test.exception
    assert not [one for one in test.button if one.label.startswith("Sign this")]
    test.text_input(key="key-name").set_value("no/name")
    assert "as a key name" in press(test, "Make the key").error[0].value
    test.text_input(key="key-name").set_value("ben")
    test = press(test, "Make the key")
    assert "Your key is made and logged" in test.success[0].value
    assert (home / "keys/ben.pem").stat().st_mode & 0o777 == 0o600
    assert "Decision 1 is signed" in decide(test, "ben").success[0].value


def test_a_review_and_an_approval_are_made_on_the_page(desk: Path) -> None:
    test = decide(open_page("desk"), "ben")
    assert not test.exception
    assert "Decision 1 is signed" in test.success[0].value
    test = decide(test, "cleo", role="approver")
    assert "Decision 2 is signed" in test.success[0].value
    assert list_cases(desk)[0].state == "signed by all three"
    assert any("State: **signed by all three**" in one.value for one in test.markdown)


def test_the_preparer_is_refused_on_the_page(desk: Path) -> None:
    test = decide(open_page("desk"), "anna")
    assert "prepared this pack" in test.error[0].value
    assert list_cases(desk)[0].state == "waiting for review"


def test_a_second_reviewer_does_not_see_the_first_review(desk: Path) -> None:
    test = decide(open_page("desk"), "ben", decision="reject")
    test.selectbox(key="viewer").set_value("dora").run()
    assert any("1 review hidden until" in one.value for one in test.info)
    assert all("key" not in vars(one) or one.key != "decisions" for one in test.dataframe)
    assert not [one for one in test.dataframe if "decision" in one.value.columns]
    test = decide(test, "dora")
    table = next(one.value for one in test.dataframe if "decision" in one.value.columns)
    assert list(table["person"]) == ["ben", "dora"]


def test_hostile_words_of_a_pack_are_shown_as_words(home: Path) -> None:
    def change(story):  # type: ignore[no-untyped-def]
        story.documents["pack.json"]["limitations"] = [HOSTILE]

    take_pack(home, zip_up(retell(change)), by="anna")
    test = open_page("desk")
    assert not test.exception
    shown = [one.value for one in test.markdown if "img" in one.value]
    assert shown
    assert all("\\<img" in text for text in shown)


def test_what_speaks_against_a_claim_is_beside_what_was_found(home: Path) -> None:
    def change(story):  # type: ignore[no-untyped-def]
        for run in [name for name in story.documents if name.endswith("result.json")]:
            story.documents[run] |= {"state": "inconclusive", "reason": "low_power", "sentence": "It stayed open."}

    take_pack(home, zip_up(retell(change)), by="anna")
    test = open_page("desk")
    text = " ".join(one.value for one in test.markdown).replace("\\", "")
    assert "It stayed open." in text


def test_the_page_says_which_decisions_are_known_and_what_each_names(desk: Path) -> None:
    test = decide(open_page("desk"), "ben")
    test = decide(test, "cleo", role="approver")
    assert not test.exception
    assert any("desk consulted: 2 decisions, all in the pack" in one.value.replace("\\", "") for one in test.markdown)
    table = next(one.value for one in test.dataframe if "decision" in one.value.columns)
    assert list(table["earlier decisions it names"]) == ["0", "1"]


def test_a_decision_that_was_deleted_from_the_desk_is_named_by_the_page(desk: Path) -> None:
    decide(decide(open_page("desk"), "ben"), "dora", decision="reject")
    with open_database(desk) as connection:
        connection.execute("DROP TRIGGER desk_decision_kept ON desk_decision")
        connection.execute("DELETE FROM desk_decision WHERE decision = 'reject'")
    test = open_page("desk")
    assert not test.exception
    assert any("1 not in the pack: reject by" in one.value.replace("\\", "") for one in test.markdown)
    rows = next(one.value for one in test.dataframe if "why" in one.value.columns)
    assert list(rows[rows["row"] == "desk"]["result"]) == ["does not meet"]


def test_nothing_is_chosen_beforehand_and_nothing_unread_is_signed(desk: Path) -> None:
    test = open_page("desk")
    assert (test.radio(key="role").value, test.radio(key="decision").value) == (None, None)
    test.selectbox(key="viewer").set_value("ben").run()
    test.radio(key="role").set_value("reviewer")
    test.radio(key="decision").set_value("approve")
    test.text_input(key="independence").set_value("another team")
    press(test, "Check my decision")
    assert "Not everything required was read" in test.error[0].value
    assert not [one for one in test.button if one.label.startswith("Sign this")]
    assert list_cases(desk)[0].state == "waiting for review"


def test_a_decision_for_one_pack_or_person_is_not_carried_to_another(desk: Path) -> None:
    test = open_page("desk")
    test.selectbox(key="viewer").set_value("ben").run()
    test.radio(key="decision").set_value("approve")
    press(test, "Check my decision")
    test.selectbox(key="viewer").set_value("cleo").run()
    assert test.radio(key="decision").value is None


def test_an_unmet_policy_is_named_beside_the_decision(desk: Path) -> None:
    assert "The policy is not met" in open_page("desk").warning[0].value


def test_a_pack_that_was_decided_elsewhere_is_read_and_not_decided(home: Path) -> None:
    test = open_page("desk")
    test.button(key="example-planted-strict-2").click().run()
    assert not test.exception
    assert "can be read here and not decided" in test.warning[0].value
    text = " ".join(one.value for one in test.markdown).replace("\\", "")
    assert "**golden-reviewer**, reviewer, approves" in text
    assert "the model relies on L1.H0" in text
    assert list_cases(home) == ()
    assert not [one for one in test.radio if one.key == "decision"]
    test.button(key="close-read-only").click().run()
    assert "Nothing to review yet" in test.info[0].value


def test_the_report_names_every_signer_whose_decision_the_reader_may_see(desk: Path) -> None:
    decide(open_page("desk"), "ben")
    digest = list_cases(desk)[0].pack.root_digest
    opened = open_case(desk, digest, now=datetime.now(UTC))
    blind = " ".join(read_pages(opened.render_pdf(hidden=opened.list_hidden(frozenset({"dora"}))))[-1].split())
    assert "anna" in blind
    assert "ben" not in blind
    assert "1 more decisions are left out" in blind
    whole = " ".join(read_pages(opened.render_pdf())[-1].split())
    assert "ben reviewer ● Approves" in whole
