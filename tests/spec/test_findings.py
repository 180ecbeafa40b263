"""The findings register: what people record, who changed it when and why, and what reopens it by itself."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from toy.register import PINS, freeze_by_hand

from audit_core.errors import FindingRefused, IntegrityError, PolicyRefused, Refused
from audit_core.governance.policy import parse_policy
from audit_core.governance.severities import DEFAULT_SEVERITIES, read_finding_rules
from audit_core.shipped import load_shipped_policy
from audit_core.store.claims.change_log import declare_incident, record_changes
from audit_core.store.database.connection import DATABASE, open_database
from audit_core.store.database.events import list_events
from audit_core.store.findings.finding import FindingDraft, FindingEdit, FindingStatus
from audit_core.store.findings.register import FindingRegister
from audit_core.store.findings.reopening import REGISTER_ACTOR
from audit_core.store.log.snapshot import open_snapshot
from audit_core.store.log.verification import verify_log
from audit_core.trigger import Change, TriggerKind

RULES = read_finding_rules(load_shipped_policy())
DRAFT = FindingDraft(
    "high", "Null not drawn", "The random baseline was not drawn.", "Draw it.", "bela", claims=("C-0001",)
)
MODEL_CHANGED = Change(TriggerKind.WEIGHTS_CHANGED, "1" * 64, "9" * 64)


def find_today() -> date:
    """A run may go past midnight, so each test asks."""
    return datetime.now(UTC).date()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    freeze_by_hand(tmp_path)
    return tmp_path


def record(home: Path, draft: FindingDraft = DRAFT, by: str = "rob") -> str:
    return FindingRegister(home).record(draft, RULES, by=by).finding_id


def events(home: Path) -> list[tuple[str, str]]:
    with open_database(home) as connection:
        return [(one.action, one.actor) for one in list_events(connection) if one.action.startswith("finding.")]


def trip(home: Path, change: Change = MODEL_CHANGED) -> None:
    record_changes(home, "C-0001", [change], held_for=PINS.model_digest, by="nora")


def test_a_recorded_finding_has_a_number_a_due_date_of_its_policy_and_the_model_of_its_claim(home: Path) -> None:
    found = FindingRegister(home).find(record(home))
    assert (found.finding_id, found.status, found.version) == ("F-0001", FindingStatus.OPEN, 1)
    assert found.due == (find_today() + timedelta(days=30)).isoformat()
    assert found.model == f"{PINS.model} ({PINS.model_digest})"
    assert found.policy_sha256 == load_shipped_policy().sha256
    assert events(home) == [("finding.recorded", "rob")]


def test_every_change_is_an_event_with_who_and_why_and_the_state_is_their_fold(home: Path) -> None:
    register, name = FindingRegister(home), record(home)
    register.change(
        name,
        FindingEdit(severity="low", status=FindingStatus.IN_REMEDIATION),
        RULES,
        based_on=1,
        by="bela",
        reason="begun",
    )
    closed = register.close(name, based_on=2, by="rob", reason="the baseline is drawn")
    assert (closed.severity, closed.days, closed.status, closed.title) == (
        "low",
        180,
        FindingStatus.CLOSED,
        DRAFT.title,
    )
    assert [(one.step.value, one.by, one.reason) for one in closed.history] == [
        ("recorded", "rob", ""), ("changed", "bela", "begun"), ("closed", "rob", "the baseline is drawn"),
    ]  # fmt: skip
    assert events(home) == [("finding.recorded", "rob"), ("finding.changed", "bela"), ("finding.closed", "rob")]
    assert register.list_findings() == (closed,)
    with open_snapshot(home) as connection:
        assert verify_log(connection).findings == ()


def test_an_accepted_finding_names_who_accepted_it(home: Path) -> None:
    name = record(home)
    found = FindingRegister(home).accept(name, based_on=1, by="otto", reason="the use is narrow")
    assert found.status_words == "accepted by otto"
    assert not found.is_overdue(date(2999, 1, 1))


def test_a_form_based_on_an_older_version_is_refused_and_loses_nothing(home: Path) -> None:
    register, name = FindingRegister(home), record(home)
    register.change(name, FindingEdit(owner="dora"), RULES, based_on=1, by="rob", reason="bela left")
    with pytest.raises(FindingRefused, match="version 2, changed by rob; yours is based on 1"):
        register.change(name, FindingEdit(owner="cleo"), RULES, based_on=1, by="otto", reason="mine")
    assert register.find(name).owner == "dora"


def test_of_two_people_who_change_one_version_at_the_same_time_exactly_one_succeeds(home: Path) -> None:
    register, name = FindingRegister(home), record(home)
    refused: list[Exception] = []

    def work(owner: str) -> None:
        try:
            register.change(name, FindingEdit(owner=owner), RULES, based_on=1, by=owner, reason="mine")
        except FindingRefused as error:
            refused.append(error)

    threads = [threading.Thread(target=work, args=(owner,)) for owner in ("cleo", "dora")]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (len(refused), register.find(name).version) == (1, 2)


def test_the_owner_does_not_close_their_own_finding(home: Path) -> None:
    name = record(home)
    for act in (FindingRegister(home).close, FindingRegister(home).accept):
        with pytest.raises(FindingRefused, match="owns F-0001"):
            act(name, based_on=1, by=" BELA ", reason="done")


def test_a_closed_finding_is_changed_only_after_it_is_reopened(home: Path) -> None:
    register, name = FindingRegister(home), record(home)
    register.close(name, based_on=1, by="rob", reason="done")
    with pytest.raises(FindingRefused, match="is closed"):
        register.change(name, FindingEdit(owner="x"), RULES, based_on=2, by="rob", reason="x")
    found = register.reopen(name, based_on=2, by="rob", reason="it came back")
    assert (found.status, found.history[-1].step.value) == (FindingStatus.OPEN, "reopened")
    with pytest.raises(FindingRefused, match="is open"):
        register.reopen(name, based_on=3, by="rob", reason="again")


@pytest.mark.parametrize("kind", [kind for kind in TriggerKind if kind.reopens_findings])
def test_a_trigger_about_its_claim_reopens_a_resolved_finding_by_the_system_with_the_reason(
    home: Path, kind: TriggerKind
) -> None:
    register, closed, accepted = FindingRegister(home), record(home), record(home)
    register.close(closed, based_on=1, by="rob", reason="done")
    register.accept(accepted, based_on=1, by="otto", reason="fine")
    trip(home, Change(kind, "old", "new"))
    for name in (closed, accepted):
        found = register.find(name)
        last = found.history[-1]
        assert (found.status, last.step.value, last.by) == (FindingStatus.OPEN, "reopened", REGISTER_ACTOR)
        assert last.reason == f"Trigger 1 of C-0001: {kind.value.replace('_', ' ')}: old → new"
        assert found.due == (find_today() + timedelta(days=30)).isoformat()
    assert events(home)[-2:] == [("finding.reopened", REGISTER_ACTOR)] * 2


def test_an_incident_reopens_and_an_expired_date_does_not(home: Path) -> None:
    register, name = FindingRegister(home), record(home)
    register.close(name, based_on=1, by="rob", reason="done")
    trip(home, Change(TriggerKind.EXPIRED, "2026-01-01", ""))
    assert register.find(name).status == FindingStatus.CLOSED
    declare_incident(home, "C-0001", held_for=PINS.model_digest, by="nora", reason="a wrong letter")
    assert register.find(name).status == FindingStatus.OPEN


def test_a_trigger_of_another_claim_reopens_nothing(home: Path) -> None:
    name, other = record(home), freeze_by_hand(home)
    FindingRegister(home).close(name, based_on=1, by="rob", reason="done")
    record_changes(home, other, [MODEL_CHANGED], held_for=PINS.model_digest, by="nora")
    assert FindingRegister(home).find(name).status == FindingStatus.CLOSED


def test_no_person_can_pass_for_the_register(home: Path) -> None:
    with pytest.raises(FindingRefused, match="author"):
        record(home, by=REGISTER_ACTOR.upper())


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"title": ""}, "title"), ({"title": "x" * 161}, "161"), ({"finding": " \n"}, "finding"), ({"finding": "x" * 4_001}, "4,001"),
        ({"owner": "x" * 121}, "owner"), ({"remediation": "\x00"}, "control"), ({"finding": "\ud800"}, "control"),
        ({"title": "a\x1b[31m"}, "control"), ({"claims": (), "runs": ()}, "source"), ({"claims": ("C-0009",)}, "No claim"),
        ({"runs": ("f" * 32,)}, "No run"), ({"claims": tuple(f"C-{at:04d}" for at in range(21))}, "21 claims"),
        ({"due": "tomorrow"}, "due date"), ({"due": "2999-01-01"}, "Due 2999-01-01"), ({"due": "2020-01-01"}, "Due 2020"),
        ({"severity": "doom"}, "Severity 'doom'"), ({"basis": "x" * 4_001}, "suggestion"),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_used_is_refused_and_nothing_is_written(
    home: Path, fields: dict[str, object], match: str
) -> None:
    with pytest.raises(Refused, match=match):
        record(home, FindingDraft(**{**vars(DRAFT), **fields}))  # type: ignore[arg-type]
    assert events(home) == []


def test_a_due_date_moves_later_only_with_a_reason(home: Path) -> None:
    register, name = FindingRegister(home), record(home)
    for reason in ("", "x" * 2_001):
        with pytest.raises(FindingRefused, match="reason"):
            register.change(name, FindingEdit(due="2999-01-01"), RULES, based_on=1, by="rob", reason=reason)
    assert (
        register.change(name, FindingEdit(due="2999-01-01"), RULES, based_on=1, by="rob", reason="why").due
        == "2999-01-01"
    )
    with pytest.raises(FindingRefused, match="No field changed"):
        register.change(name, FindingEdit(due="2999-01-01"), RULES, based_on=2, by="rob", reason="why")
    with pytest.raises(FindingRefused, match="close, accept or reopen"):
        register.change(name, FindingEdit(status=FindingStatus.CLOSED), RULES, based_on=2, by="rob", reason="why")


def test_a_row_changed_or_removed_in_the_file_is_noticed(home: Path) -> None:
    record(home)
    with duckdb.connect(str(home / DATABASE)) as connection:
        connection.execute("DROP TRIGGER finding_change_kept ON finding_change")
        connection.execute("DELETE FROM finding_change")
    with pytest.raises(IntegrityError, match="0 changes of findings differ from the 1"):
        FindingRegister(home).list_findings()


def test_a_row_is_not_changed_by_accident(home: Path) -> None:
    record(home)
    for statement in ("DELETE FROM finding_change", "UPDATE finding_change SET body = ''"):
        with pytest.raises(duckdb.Error, match="append-only"), open_database(home) as connection:
            connection.execute(statement)


def test_a_log_of_the_version_before_gets_an_empty_register(home: Path) -> None:
    with duckdb.connect(str(home / DATABASE)) as connection:
        for later in ("finding_change", "feature_label"):
            connection.execute(f"DROP TABLE {later}")
        connection.execute("UPDATE schema_version SET version = 4")
    assert FindingRegister(home).list_findings() == ()
    assert record(home) == "F-0001"


def test_severities_and_days_are_the_policys_and_a_policy_without_them_has_defaults() -> None:
    shipped = load_shipped_policy()
    assert "findings" not in shipped.resolved()
    assert read_finding_rules(shipped).severities == DEFAULT_SEVERITIES
    own = shipped.text + (
        b'\n[findings]\nseverities = [{ name = "red", days = 7 }, { name = "amber", days = 21 }]\n'
        b'source = "organisation"\nwhy = "Our risk policy."\n'
    )
    rules = read_finding_rules(parse_policy(own, "own.toml"))
    assert [(one.name, one.days) for one in rules.severities] == [("red", 7), ("amber", 21)]
    assert (rules.notice_days, rules.source) == (14, "organisation")
    assert rules.date_due("amber", date(2026, 12, 20)) == date(2027, 1, 10)
    with pytest.raises(PolicyRefused, match="red, amber"):
        rules.find("high")


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ("severities = []", "severities"), ('severities = [{ name = "a" }]', "days"), ('severities = [{ name = "a", days = 0 }]', "days"),
        ('severities = [{ name = "A b", days = 3 }]', "name"), ('severities = [{ name = "a", days = 3, x = 1 }]', "Unknown key"),
        ('severities = [{ name = "a", days = 3 }, { name = "a", days = 4 }]', "each name once"), ("severity = 3", "Unknown key"),
        ('severities = [{ name = "a", days = 1.5 }]', "whole number"), ('severities = [{ name = "a", days = 3 }]\nnotice_days = -1', "notice_days"),
    ],
)  # fmt: skip
def test_a_policy_with_unusable_severities_is_refused(table: str, match: str) -> None:
    text = load_shipped_policy().text + f'\n[findings]\n{table}\nsource = "default"\nwhy = "w"\n'.encode()
    with pytest.raises(PolicyRefused, match=match):
        parse_policy(text, "own.toml")
