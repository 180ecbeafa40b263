"""What the log keeps of people: sign-ins once, refusals each, and who is kept out."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb
import pytest
from toy.people import ISSUER, make_person

from audit_core.errors import AccessRefused, Refused
from audit_core.evidence.keys import load_log_key
from audit_core.governance.people import LOCAL_PERSON, Permission, PersonRole
from audit_core.store import AuditEvent, PersonLog, list_events, open_database, verify_log
from audit_core.store.database.connection import DATABASE

OF_VERSION_3 = {
    "schema_version", "runs", "run_start", "audit_log", "audit_event", "audit_checkpoint", "refused_change", "claim", "preregistration",
    "deviation", "claim_withdrawn",
}  # fmt: skip
ADMIN = make_person("ada", PersonRole.ADMIN)
ANNA = make_person("anna", PersonRole.RESEARCHER)


@pytest.fixture
def log(own_home: Path) -> PersonLog:
    own_home.mkdir()
    found = PersonLog(own_home)
    found.note_sign_in(ADMIN)
    found.note_sign_in(ANNA)
    return found


def reported(log: PersonLog, start: int = 3) -> list[AuditEvent]:
    """Events after the log's own first one and the two sign-ins."""
    with open_database(log.home) as connection:
        return list(list_events(connection, start=start))


def test_a_sign_in_is_logged_once_however_many_windows_it_opens(log: PersonLog) -> None:
    log.note_sign_in(ANNA)
    log.note_sign_in(make_person("anna", PersonRole.RESEARCHER, lasts_s=7200))
    (event,) = reported(log)
    assert (event.action, event.actor, event.object_id) == ("person.signed_in", f"{ISSUER}|anna", f"{ISSUER}|anna")
    assert set(event.payload) == {"roles", "signed_in_at", "expires_at"}
    assert event.payload["roles"] == ["researcher"]


def test_a_display_name_is_in_the_list_and_in_no_event(log: PersonLog) -> None:
    assert [one.name for one in log.list_known()] == ["Ada", "Anna"]
    assert not [event for event in reported(log, 0) if "Anna" in event.body]


def test_an_authorized_action_writes_nothing_and_a_refused_one_an_event(log: PersonLog) -> None:
    assert log.authorize(ANNA, Permission.RUN, about="sweep") is ANNA
    assert reported(log) == []
    with pytest.raises(AccessRefused):
        log.authorize(ANNA, Permission.APPROVE, about="C-0001")
    (event,) = reported(log)
    assert (event.action, event.actor, event.object_id) == ("person.refused", ANNA.id, "C-0001")
    assert event.payload == {"deed": "approve", "why": "not_allowed", "roles": ["researcher"]}


def test_an_expired_person_is_refused_and_logged(log: PersonLog) -> None:
    late = make_person("anna", PersonRole.RESEARCHER, lasts_s=-1)
    with pytest.raises(AccessRefused) as caught:
        log.authorize(late, Permission.RUN, about="sweep")
    assert caught.value.why == "expired"
    assert reported(log)[0].payload["why"] == "expired"


def test_an_action_that_wants_a_recent_sign_in_refuses_an_old_one(log: PersonLog) -> None:
    approver = make_person("otto", PersonRole.APPROVER, ago_s=600)
    assert log.authorize(approver, Permission.APPROVE, about="C-0001", max_age_s=900)
    with pytest.raises(AccessRefused):
        log.authorize(approver, Permission.APPROVE, about="C-0001", max_age_s=300)
    assert reported(log)[-1].payload["why"] == "not_recent"


def test_a_disabled_person_is_refused_at_the_next_action_and_admitted_again_when_enabled(log: PersonLog) -> None:
    log.disable(ANNA.id, by=ADMIN, reason="left the team")
    with pytest.raises(AccessRefused) as caught:
        log.authorize(ANNA, Permission.LOOK, about="claims")
    assert caught.value.why == "disabled"
    refusal = log.find_refusal(ANNA, Permission.RUN)
    assert refusal is not None
    assert refusal.why == "disabled"
    assert [(one.id, one.is_disabled, one.reason) for one in log.list_known()] == [
        (ADMIN.id, False, ""),
        (ANNA.id, True, "left the team"),
    ]
    log.enable(ANNA.id, by=ADMIN, reason="came back")
    assert log.authorize(ANNA, Permission.RUN, about="sweep")
    events = reported(log)
    assert [event.action for event in events] == ["person.disabled", "person.refused", "person.enabled"]
    assert events[0].payload == {"reason_sha256": hashlib.sha256(b"left the team").hexdigest()}
    assert (events[0].actor, events[0].object_id) == (ADMIN.id, ANNA.id)


def test_a_new_sign_in_does_not_let_a_disabled_person_in(log: PersonLog) -> None:
    log.disable(ANNA.id, by=ADMIN, reason="left")
    again = make_person("anna", *PersonRole, lasts_s=9000)
    log.note_sign_in(again)
    with pytest.raises(AccessRefused):
        log.authorize(again, Permission.LOOK, about="claims")
    assert [one.reason for one in log.list_known()] == ["", "left"]


def test_only_an_admin_changes_who_is_disabled(log: PersonLog) -> None:
    for role in set(PersonRole) - {PersonRole.ADMIN}:
        with pytest.raises(AccessRefused):
            log.disable(ADMIN.id, by=make_person("anna", role), reason="mine")
    assert {event.action for event in reported(log)} == {"person.refused"}
    assert not [one for one in log.list_known() if one.is_disabled]


def test_a_disabled_admin_enables_no_one_and_no_admin_disables_themself(log: PersonLog) -> None:
    other = make_person("olga", PersonRole.ADMIN)
    log.note_sign_in(other)
    with pytest.raises(Refused, match="their own access"):
        log.disable(ADMIN.id, by=ADMIN, reason="tired")
    log.disable(other.id, by=ADMIN, reason="left")
    with pytest.raises(AccessRefused):
        log.enable(other.id, by=other, reason="came back")
    with pytest.raises(AccessRefused):
        log.disable(ADMIN.id, by=other, reason="revenge")


@pytest.mark.parametrize(
    ("person_id", "reason", "found"),
    [(ANNA.id, " ", "0 characters"), (ANNA.id, "x" * 401, "401 characters"), (f"{ISSUER}|nobody", "left", "never signed in")],
)  # fmt: skip
def test_a_change_without_reason_or_of_an_unknown_person_is_refused(
    log: PersonLog, person_id: str, reason: str, found: str
) -> None:
    with pytest.raises(Refused, match=found):
        log.disable(person_id, by=ADMIN, reason=reason)
    assert reported(log) == []


def test_a_change_that_changes_nothing_is_refused(log: PersonLog) -> None:
    with pytest.raises(Refused, match="enabled already"):
        log.enable(ANNA.id, by=ADMIN, reason="why not")
    log.disable(ANNA.id, by=ADMIN, reason="left")
    with pytest.raises(Refused, match="disabled already"):
        log.disable(ANNA.id, by=ADMIN, reason="left")


def test_rows_taken_out_of_the_database_admit_no_one(log: PersonLog) -> None:
    """The events decide, and what happens to those the log's own check shows."""
    log.disable(ANNA.id, by=ADMIN, reason="left")
    with duckdb.connect(str(log.home / DATABASE)) as raw:
        with pytest.raises(duckdb.Error, match="append-only"):
            raw.execute("DELETE FROM person_state")
        raw.execute("DROP TRIGGER person_state_kept ON person_state")
        raw.execute("DELETE FROM person_state WHERE state = 'disabled'")
    with pytest.raises(AccessRefused):
        log.authorize(ANNA, Permission.LOOK, about="claims")


def test_the_local_person_and_an_absent_one_leave_no_trace(log: PersonLog) -> None:
    log.note_sign_in(LOCAL_PERSON)
    assert log.authorize(LOCAL_PERSON, Permission.MANAGE_PEOPLE, about="people") is LOCAL_PERSON
    with pytest.raises(AccessRefused):
        log.authorize(None, Permission.LOOK, about="claims")
    assert reported(log) == []
    assert [one.name for one in log.list_known()] == ["Ada", "Anna"]


def test_events_of_people_are_part_of_the_chain(log: PersonLog) -> None:
    log.disable(ANNA.id, by=ADMIN, reason="left")
    with open_database(log.home) as connection:
        assert verify_log(connection, public_key=load_log_key(log.home).public_key).findings == ()


def test_a_file_of_the_version_before_is_brought_up_to_date(log: PersonLog) -> None:
    with duckdb.connect(str(log.home / DATABASE)) as raw:
        for (table,) in raw.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            if table not in OF_VERSION_3:
                raw.execute(f"DROP TABLE {table}")
        raw.execute("DELETE FROM schema_version")
        raw.execute("INSERT INTO schema_version VALUES (3)")
    assert log.list_known() == ()
    log.note_sign_in(ANNA)
    assert [one.name for one in log.list_known()] == ["Anna"]
    with duckdb.connect(str(log.home / DATABASE)) as raw, pytest.raises(duckdb.Error, match="append-only"):
        raw.execute("UPDATE person_state SET state = 'enabled'")
