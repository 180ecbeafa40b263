"""Notices: due findings, open triggers and expiring claims, as a list, a calendar and a feed that other programs read."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from toy.people import make_person
from toy.register import PINS, freeze_by_hand

from audit_core.cli import main
from audit_core.findings import (
    Notice,
    NoticeKind,
    find_last_visit,
    list_changes,
    list_notices,
    write_calendar,
    write_feed,
)
from audit_core.governance import PersonRole
from audit_core.governance.severities import read_finding_rules
from audit_core.shipped import load_shipped_policy
from audit_core.store import FindingDraft, FindingEdit, FindingRegister, PersonLog
from audit_core.store.claims.change_log import record_changes
from audit_core.trigger import Change, TriggerKind

RULES = read_finding_rules(load_shipped_policy())
NOW = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
HOSTILE = 'a;b,c\\d"e\r\nBEGIN:VEVENT\nSUMMARY:forged\x07 ' + "é𝄞" * 60
NOTICE = Notice(
    "F-0001@assay-1", NoticeKind.DUE, "F-0001", HOSTILE, HOSTILE, "2026-12-31", HOSTILE, "2026-11-30T08:00:00.000000Z"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path))
    freeze_by_hand(tmp_path)
    return tmp_path


def record(home: Path, severity: str) -> None:
    draft = FindingDraft(severity, f"A {severity} one", "What was found.", "Do it.", "bela", claims=("C-0001",))
    FindingRegister(home).record(draft, RULES, by="rob")


def unfold(calendar: bytes) -> list[str]:
    """Content lines as section 3.1 of RFC 5545 unfolds them."""
    assert calendar.endswith(b"\r\n")
    return calendar.decode().replace("\r\n ", "").split("\r\n")[:-1]


def test_due_and_overdue_findings_open_triggers_and_expiring_claims_are_listed_by_urgency(home: Path) -> None:
    for severity in ("low", "high", "critical"):
        record(home, severity)
    freeze_by_hand(home, expires_at="2027-01-01")
    record_changes(
        home, "C-0001", [Change(TriggerKind.PROMPTS_CHANGED, "2" * 64, "5" * 64)], held_for=PINS.model_digest, by="nora"
    )
    now = datetime.now(UTC)
    assert [(one.kind, one.about) for one in list_notices(home, now=now)][:2] == [
        (NoticeKind.DUE, "F-0003"), (NoticeKind.TRIGGER, "C-0001"),
    ]  # fmt: skip
    later = list_notices(home, now=now + timedelta(days=16))
    assert [(one.kind, one.about) for one in later[:3]] == [
        (NoticeKind.OVERDUE, "F-0003"), (NoticeKind.DUE, "F-0002"), (NoticeKind.TRIGGER, "C-0001"),
    ]  # fmt: skip
    assert (NoticeKind.EXPIRING, "C-0002") in [
        (one.kind, one.about) for one in list_notices(home, now=datetime(2026, 12, 25, tzinfo=UTC))
    ]
    assert len({one.uid for one in later}) == len(later)


def test_a_closed_finding_is_no_notice(home: Path) -> None:
    record(home, "critical")
    FindingRegister(home).close("F-0001", based_on=1, by="rob", reason="done")
    assert list_notices(home, now=datetime.now(UTC) + timedelta(days=400)) == ()


def test_every_line_of_a_calendar_has_at_most_75_bytes_and_breaks_between_characters() -> None:
    data = write_calendar([NOTICE], now=NOW)
    rows = data.split(b"\r\n")
    assert max(map(len, rows)) <= 75
    for row in rows:
        row.decode()
    assert b"\n" not in data.replace(b"\r\n", b"")


def test_hostile_text_stays_one_value_of_the_calendar() -> None:
    lines = unfold(write_calendar([NOTICE], now=NOW))
    assert [line for line in lines if line.startswith("BEGIN:")] == ["BEGIN:VCALENDAR", "BEGIN:VEVENT"]
    summary = next(line for line in lines if line.startswith("SUMMARY:"))
    text = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], summary.removeprefix("SUMMARY:"))
    assert text == "F-0001 finding due soon: " + HOSTILE.replace("\r\n", "\n").replace("\x07", " ")
    assert sum(line.startswith("SUMMARY:") for line in lines) == 1


def test_a_calendar_has_what_readers_require_of_each_entry() -> None:
    lines = unfold(write_calendar([NOTICE], now=NOW, mark="sample"))
    assert lines[:2] == ["BEGIN:VCALENDAR", "VERSION:2.0"]
    assert lines[-1] == "END:VCALENDAR"
    for line in ("UID:F-0001@assay-1", "DTSTAMP:20261201T093000Z", "DTSTART;VALUE=DATE:20261231", "DTEND;VALUE=DATE:20270101",
                 "LAST-MODIFIED:20261130T080000Z", "X-WR-CALNAME:sample: Assay notices"):  # fmt: skip
        assert line in lines
    assert any(line.startswith("SUMMARY:sample: F-0001") for line in lines)


def test_a_feed_is_a_json_feed_in_which_text_stays_text() -> None:
    data = write_feed([NOTICE], mark="sample")
    found = json.loads(data)
    assert (found["version"], found["title"]) == ("https://jsonfeed.org/version/1.1", "sample: Assay notices")
    (item,) = found["items"]
    assert (item["id"], item["content_text"], item["_assay"]["owner"]) == ("F-0001@assay-1", HOSTILE, HOSTILE)
    assert data.isascii()


def test_what_changed_since_the_last_visit_is_read_from_the_log(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, rob = PersonLog(home), make_person("rob", PersonRole.REVIEWER, ago_s=600)
    log.note_sign_in(rob)
    assert find_last_visit(home, rob.id) is None, "a first visit has none before it"
    record(home, "low")
    log.note_sign_in(make_person("bela", PersonRole.RESEARCHER))
    log.note_sign_in(make_person("rob", PersonRole.REVIEWER, ago_s=5))
    visit = find_last_visit(home, rob.id)
    assert visit is not None
    FindingRegister(home).change("F-0001", FindingEdit(owner="otto"), RULES, based_on=1, by=rob.id, reason="moved")
    assert [(one.what, one.about, one.by) for one in list_changes(home, visit)] == [
        ("finding changed", "F-0001", rob.id), ("finding recorded", "F-0001", "rob"),
    ]  # fmt: skip
    assert [one.what for one in list_changes(home, visit, without=rob.id)] == ["finding recorded"]
    assert list_changes(home, list_changes(home, visit)[0].at) == (), "not the change that was at that time"
    assert [one.what for one in list_changes(home, "2026-01-01")][-1] == "claim registered"
    assert list_changes(home, "2999-01-01T00:00:00+05:00") == ()
    assert main(["finding", "changes", "--since", "2026-01-01", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["what"] == "finding changed"
    assert main(["finding", "changes", "--since", "yesterday"]) == 2
