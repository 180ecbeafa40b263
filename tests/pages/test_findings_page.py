"""The page Findings opened by Streamlit's own test driver: empty, recorded from a suggestion, changed, and refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from toy.register import freeze_by_hand

from audit_core.governance.severities import read_finding_rules
from audit_core.shipped import load_shipped_policy
from audit_core.store import FindingDraft, FindingEdit, FindingRegister, FindingStatus
from tests.pages.test_claims_page import HOSTILE, open_page
from ui.findings.drawings import draw_register, name_status
from ui.parts.header import plain

RULES = read_finding_rules(load_shipped_policy())


@pytest.fixture
def register(home: Path) -> FindingRegister:
    """A register with one claim that was never tested, and whose prompts and policy are not stored."""
    freeze_by_hand(home)
    return FindingRegister(home)


def record(register: FindingRegister, text: str = "What was found.", **fields: object) -> str:
    draft = FindingDraft(
        **{
            "severity": "high",
            "title": text,
            "finding": text,
            "remediation": text,
            "owner": text,
            "claims": ("C-0001",),
        }
        | fields
    )  # type: ignore[arg-type]
    return register.record(draft, RULES, by=text).finding_id


def press(test: AppTest, label: str) -> AppTest:
    return next(one for one in test.button if one.label == label).click().run()


def read(test: AppTest) -> str:
    return "\n".join(str(one.value) for one in (*test.markdown, *test.info, *test.error, *test.success, *test.header))


def test_an_empty_register_says_so_and_shows_what_results_suggest(register: FindingRegister) -> None:
    test = open_page("findings")
    assert not test.exception
    assert "No person has recorded a finding" in test.info[0].value
    assert register.list_findings() == ()


def test_a_person_records_a_finding_and_the_page_shows_it_with_its_due_date(register: FindingRegister) -> None:
    test = open_page("findings", view="new", about="C-0001")
    assert not test.exception
    place = next(one.key for one in test.text_input if one.label == "Title").removesuffix("-title")
    press(test, "Record the finding")
    assert register.list_findings() == (), "without severity and owner nothing is recorded"
    for name in ("title", "owner", "name"):
        test.text_input(key=f"{place}-{name}").set_value(name)
    test.text_area(key=f"{place}-finding").set_value("found")
    test.selectbox(key=f"{place}-severity").set_value("high")
    test = press(test, "Record the finding")
    (made,) = register.list_findings()
    assert (made.owner, made.history[0].by, made.claims) == ("owner", "name", ("C-0001",))
    assert "is recorded and logged" in plain_read(test)
    assert "1 finding to resolve" in read(test)


def plain_read(test: AppTest) -> str:
    return read(test).replace("\\", "")


def test_what_is_overdue_is_said_in_words(register: FindingRegister) -> None:
    name = record(register)
    register.change(name, FindingEdit(due="2020-01-01"), RULES, based_on=1, by="rob", reason="late")
    test = open_page("findings")
    assert "1 overdue" in read(test)
    assert list(test.dataframe[0].value["status"]) == ["! overdue (open)"]


def test_a_form_on_an_old_version_is_refused_and_what_was_typed_stays_on_the_page(register: FindingRegister) -> None:
    name = record(register)
    test = open_page("findings", finding=name)
    test.session_state[f"change-{name}"] = True
    test = test.run()
    place = f"edit-{name}-1"
    test.text_area(key=f"{place}-remediation").set_value("my long plan")
    test.text_input(key=f"{place}-reason").set_value("my reason")
    register.change(name, FindingEdit(owner="dora"), RULES, based_on=1, by="rob", reason="bela left")
    test = press(test, "Save the change")
    assert "yours is based on 1" in plain_read(test)
    assert [one.value for one in test.code] == ["my long plan", "my reason"]
    assert (register.find(name).owner, register.find(name).remediation) == ("dora", "What was found.")


def test_a_finding_is_closed_and_reopened_with_a_reason_and_not_without(register: FindingRegister) -> None:
    name = record(register)
    test = press(open_page("findings", finding=name), "Close it")
    assert register.find(name).version == 1
    test.text_input(key=f"step-{name}-1-reason").set_value("done")
    test = press(test, "Close it")
    assert register.find(name).status is FindingStatus.CLOSED
    test.text_input(key=f"step-{name}-2-reason").set_value("it came back")
    press(test, "Reopen it")
    assert [row.reason for row in register.find(name).history] == ["", "done", "it came back"]


def test_hostile_text_of_every_field_is_escaped(register: FindingRegister) -> None:
    name = record(register, HOSTILE, basis=HOSTILE)
    register.change(name, FindingEdit(owner=HOSTILE[::-1]), RULES, based_on=1, by=HOSTILE, reason=HOSTILE)
    for tab in ("Finding", "History", "Notices"):
        test = open_page("findings", finding=name)
        test.session_state["finding-tab"] = tab
        test = test.run()
        assert not test.exception
        assert HOSTILE not in read(test)
    assert plain(HOSTILE) in read(open_page("findings", finding=name))


def test_the_picture_counts_every_finding_once_with_its_status_as_text(register: FindingRegister) -> None:
    for _ in range(3):
        record(register)
    register.close("F-0001", based_on=1, by="rob", reason="done")
    later = (datetime.now(UTC) + timedelta(days=31)).date()
    found = register.list_findings()
    assert [name_status(one, later) for one in found] == ["closed", "overdue", "overdue"]
    bars = draw_register(found, RULES.names, later).data
    assert {bar.name: (sum(bar.x), [text for text in bar.text if text]) for bar in bars} == {
        "overdue": (2, ["2 overdue"]), "closed": (1, ["1 closed"]),
    }  # fmt: skip
    assert len({(bar.marker.color, bar.marker.pattern.shape) for bar in bars}) == len(bars)
