"""Crosswalk and procurement opened by Streamlit's own test driver."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from toy.register import freeze_by_hand

from audit_core.references.crosswalk import Relation, SecondReader
from audit_core.references.crosswalk_file import load_crosswalk
from audit_core.references.procurement import Answer, AnswerWord, load_checklist
from audit_core.store import ChecklistDraft, Checklists
from tests.pages.test_claims_page import HOSTILE, open_page
from ui.parts.header import plain

SAVE = "FormSubmitter:form-{}-Save as a new version"


def read_text(test: AppTest) -> str:
    return " ".join(one.value for one in (*test.markdown, *test.warning, *test.info))


def test_the_crosswalk_says_first_that_nothing_legal_was_assessed(home: Path) -> None:
    test = open_page("crosswalk")
    assert not test.exception
    assert "Legal assessment not performed" in test.warning[0].value


def test_unverified_rows_are_labelled_in_words_and_are_in_no_count(home: Path) -> None:
    test = open_page("crosswalk", framework="us_model_risk")
    assert not test.exception
    rows = load_crosswalk().choose(framework="us_model_risk")
    assert (
        f"Of {len(rows)} rows, **0** were read in the primary source and **0** in a copy. **0** were checked"
        in read_text(test)
    )
    assert f"**{len(rows)}** are unverified" in read_text(test)
    assert set(find_table(test, "check")["check"]) == {"NOT COUNTED: unverified"}
    counted = find_table(test, "rows")
    assert counted.iloc[0].isna().sum() == 4, "an unverified row has no relation in the counts"
    assert list(counted["rows"]) == [len(rows)]


def test_rows_read_in_a_copy_are_counted_by_relation_and_status(home: Path) -> None:
    test = open_page("crosswalk", framework="eu_ai_act")
    assert not test.exception
    assert "Of 59 rows, **0** were read in the primary source and **59** in a copy." in read_text(test)
    assert f"First reader of the copies: {plain('AI assistant of the authors of Assay (not a person)')}." in read_text(
        test
    )
    assert "A second reader has confirmed or corrected **0** of these rows." in read_text(test)
    counted = find_table(test, "rows")
    assert list(counted.iloc[0])[1:] == ["counted: text read in a copy", 1, 9, 29, 20, 59]
    assert "unverified" in set(find_table(test, "act")["status"])


def test_a_row_in_full_has_quote_rationale_reader_and_what_is_not_known(home: Path) -> None:
    test = open_page("crosswalk", framework="eu_ai_act")
    rows = load_crosswalk().choose(framework="eu_ai_act")
    at = next(n for n, row in enumerate(rows) if row.clause == "Art. 86(1)")
    test.selectbox(key="row").set_value(at)
    test.run()
    assert not test.exception
    shown = read_text(test)
    for text in (
        rows[at].quote,
        rows[at].rationale,
        rows[at].not_known,
        rows[at].checked_by,
        "Article 113, wording of 2024",
    ):
        assert plain(str(text)) in shown
    assert "**Second reader:** none yet" in shown


def test_a_hostile_crosswalk_is_shown_as_text(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = load_crosswalk()
    second = SecondReader(HOSTILE, HOSTILE, Relation.CONTEXT_FOR, HOSTILE)
    texts = {
        "quote": HOSTILE,
        "rationale": HOSTILE,
        "not_known": HOSTILE,
        "checked_by": HOSTILE,
        "clause": HOSTILE,
        "entry": HOSTILE,
    }
    hostile = replace(next(row for row in shipped.rows if row.quote), **texts, second_reader=second)
    act = replace(shipped.acts[0], act=HOSTILE, what=HOSTILE, clauses=(HOSTILE,))
    made = replace(shipped, rows=(hostile,), acts=(act,))
    monkeypatch.setattr("audit_core.references.load_crosswalk", lambda: made)
    test = open_page("crosswalk")
    assert not test.exception
    drawn = [one.value for one in (*test.markdown, *test.caption)]
    assert sum(plain(HOSTILE) in text for text in drawn) >= 7
    assert [text for text in drawn if HOSTILE in text] == []


def test_the_filters_narrow_the_rows_and_a_broken_link_is_repaired(home: Path) -> None:
    test = open_page("crosswalk", framework="no-such-law", evidence="four_eyes")
    assert not test.exception
    assert test.selectbox(key="framework").value == ""
    assert set(find_table(test, "check")["evidence"]) == {"Record of review and approval by different persons"}
    test.selectbox(key="framework").set_value("iso_42001")
    test.run()
    assert list(find_table(test, "check")["clause"]) == ["5.3", "A.3.2"]
    test.selectbox(key="framework").set_value("iso_23894")
    test.run()
    assert not test.exception
    assert "No row matches both" in read_text(test)


def test_the_crosswalk_says_what_this_home_holds(home: Path) -> None:
    freeze_by_hand(home)
    test = open_page("crosswalk")
    held = find_table(test, "where").set_index("evidence")["here"]
    assert held["Claims register: scope, limits, what was not assessed"] == "1"
    assert held["Signed and dated evidence pack"] == "0"
    assert held["Calibration of the instrument"] == "–"


def test_a_checklist_is_filled_saved_and_opened_again(home: Path) -> None:
    freeze_by_hand(home)
    test = open_page("procurement")
    assert not test.exception
    test.text_input(key="new-0-about").set_value(HOSTILE)
    test.text_input(key="new-0-by").set_value("anna")
    test.selectbox(key="new-0-patching-answer").set_value(AnswerWord.YES)
    test.text_area(key="new-0-patching-text").set_value(HOSTILE)
    test.multiselect(key="new-0-patching-claims").set_value(["C-0001"])
    test.button(key=SAVE.format("new-0")).click()
    test.run()
    assert not test.exception
    assert test.success[0].value == "Q-0001 is saved as version 1."
    (saved,) = Checklists(home).list_latest()
    assert [(one.item_id, one.by) for one in saved.answers if one.answer is AnswerWord.YES] == [("patching", "anna")]
    assert test.selectbox(key="checklist").value == "Q-0001"
    assert test.text_area(key="Q-0001-1-patching-text").value == HOSTILE, "the form shows what was saved"
    assert test.multiselect(key="Q-0001-1-patching-claims").value == ["C-0001"]
    assert "1 yes, 0 no, 0 partly, 0 not applicable, 13 unanswered" in read_text(test)
    assert not [one for one in test.markdown if "<img" in one.value and "\\<" not in one.value]
    answers = find_table(test, "in words").set_index("item")
    assert answers.loc["patching", "answer"] == "yes"
    assert answers.loc["routing", "answer"] == "unanswered"


def test_what_cannot_be_saved_stays_in_the_form_with_the_reason(home: Path) -> None:
    test = open_page("procurement")
    test.text_input(key="new-0-about").set_value("ACME")
    test.text_input(key="new-0-by").set_value("anna")
    test.selectbox(key="new-0-routing-answer").set_value(AnswerWord.NOT_APPLICABLE)
    test.button(key=SAVE.format("new-0")).click()
    test.run()
    assert not test.exception
    assert "without a reason" in test.error[0].value
    assert test.text_input(key="new-0-about").value == "ACME"
    assert Checklists(home).list_latest() == ()
    test.text_area(key="new-0-routing-text").set_value("a dense model")
    test.button(key=SAVE.format("new-0")).click()
    test.run()
    assert not test.error
    assert len(Checklists(home).list_latest()) == 1


def test_a_second_person_who_saves_over_the_first_is_warned(home: Path) -> None:
    test = open_page("procurement")
    test.text_input(key="new-0-about").set_value("ACME")
    test.text_input(key="new-0-by").set_value("anna")
    test.button(key=SAVE.format("new-0")).click()
    test.run()
    answers = (Answer("routing", AnswerWord.NO),)
    Checklists(home).save(load_checklist(), ChecklistDraft("ACME", answers, "Q-0001", 1), by="ben")
    test.text_input(key="Q-0001-1-by").set_value("anna")
    test.selectbox(key="Q-0001-1-routing-answer").set_value(AnswerWord.YES)
    test.button(key=SAVE.format("Q-0001-1")).click()
    test.run()
    assert not test.exception
    assert "saved by ben" in test.error[0].value
    assert Checklists(home).find("Q-0001")[-1].saved_by == "ben"


@pytest.mark.parametrize("version", [1, 2])
def test_a_changed_version_is_refused_on_the_page(home: Path, version: int) -> None:
    from audit_core.store.database.connection import open_database

    kept = Checklists(home)
    kept.save(load_checklist(), ChecklistDraft("ACME", ()), by="anna")
    kept.save(load_checklist(), ChecklistDraft("ACME", (Answer("routing", AnswerWord.NO),), "Q-0001", 1), by="anna")
    with open_database(home) as connection:
        connection.execute("DROP TRIGGER checklist_fixed ON checklist")
        body = connection.execute("SELECT body FROM checklist WHERE version = ?", [version]).fetchall()[0][0]
        changed = json.dumps(json.loads(body) | {"about": "somebody else"})
        connection.execute("UPDATE checklist SET body = ? WHERE version = ?", [changed, version])
    test = open_page("procurement")
    assert not test.exception
    assert "in the audit log" in test.error[0].value


def find_table(test: AppTest, column: str):  # type: ignore[no-untyped-def]
    return next(one.value for one in test.dataframe if column in one.value)
