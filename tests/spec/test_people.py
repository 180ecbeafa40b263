"""Who somebody is, what they may do, and how long ago they showed who they are."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from toy.people import ISSUER, NOON, make_claims, make_person

from audit_core.errors import AccessRefused
from audit_core.governance.people import (
    LOCAL_PERSON,
    PERMISSIONS,
    REFUSALS,
    Permission,
    PersonRole,
    identify_person,
    read_person_id,
    require,
    require_recent,
)

# Written by hand, a row an action: viewer, researcher, reviewer, approver, admin.
TABLE = {
    "look": "yes yes yes yes yes",
    "run": "no yes yes no no",
    "freeze": "no yes no no no",
    "amend": "no yes no no no",
    "withdraw": "no yes no no no",
    "attempt": "no yes no no no",
    "export_pack": "no yes no no no",
    "review": "no no yes no no",
    "approve": "no no no yes no",
    "reject": "no no yes yes no",
    "fill_checklist": "no no yes no no",
    "declare_incident": "no yes yes yes yes",
    "record_finding": "no no yes yes no",
    "change_finding": "no yes yes yes no",
    "close_finding": "no no yes yes no",
    "accept_finding": "no no no yes no",
    "export_log": "no no yes yes yes",
    "manage_people": "no no no no yes",
    "set_policy": "no no no yes no",
}
ROLES = ("viewer", "researcher", "reviewer", "approver", "admin")


def find_why(ask: Any) -> str:
    with pytest.raises(AccessRefused) as caught:
        ask()
    assert caught.value.why in REFUSALS
    assert caught.value.wanted
    assert caught.value.remedy
    return caught.value.why


def test_the_table_by_hand_names_every_role_and_every_permission() -> None:
    assert set(TABLE) == {permission.value for permission in Permission}
    assert set(ROLES) == {role.value for role in PersonRole}


@pytest.mark.parametrize(
    ("permission", "role", "answer"), [(d, r, a) for d, row in TABLE.items() for r, a in zip(ROLES, row.split())]
)
def test_each_role_may_do_what_the_table_says_and_nothing_else(permission: str, role: str, answer: str) -> None:
    person = make_person("anna", PersonRole(role), now=NOON)
    if answer == "yes":
        assert require(person, Permission(permission), now=NOON) is person
    else:
        assert find_why(lambda: require(person, Permission(permission), now=NOON)) == "not_allowed"


def test_an_absent_person_and_one_without_a_role_may_do_nothing() -> None:
    for permission in Permission:
        assert find_why(lambda permission=permission: require(None, permission, now=NOON)) == "not_signed_in"
        assert (
            find_why(lambda permission=permission: require(make_person("anna", now=NOON), permission, now=NOON))
            == "no_role"
        )


def test_a_permission_that_is_in_no_table_is_granted_to_no_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "audit_core.governance.people.PERMISSIONS",
        {permission: roles for permission, roles in PERMISSIONS.items() if permission is not Permission.LOOK},
    )
    everyone = make_person("anna", *PersonRole, now=NOON)
    assert find_why(lambda: require(everyone, Permission.LOOK, now=NOON)) == "not_allowed"


def test_two_roles_allow_what_either_does() -> None:
    both = make_person("anna", PersonRole.VIEWER, PersonRole.APPROVER, now=NOON)
    assert require(both, Permission.APPROVE, now=NOON)
    assert not both.may(Permission.FREEZE)


def test_a_sign_in_ends_at_its_second() -> None:
    person = make_person("anna", PersonRole.VIEWER, lasts_s=10, now=NOON)
    assert require(person, Permission.LOOK, now=NOON + timedelta(seconds=9.9))
    assert find_why(lambda: require(person, Permission.LOOK, now=NOON + timedelta(seconds=10))) == "expired"


def test_the_local_person_has_every_role_and_no_end() -> None:
    assert LOCAL_PERSON.is_local
    assert all(require(LOCAL_PERSON, permission, now=NOON + timedelta(days=9000)) for permission in Permission)
    assert require_recent(LOCAL_PERSON, max_age_s=1, now=NOON)
    assert not make_person("anna", now=NOON).is_local


def test_a_person_is_issuer_and_subject_and_never_a_name_or_address() -> None:
    claims = make_claims("u-1", now=NOON) | {"name": "Anna", "email": "anna@example.org"}
    person = identify_person(claims, frozenset())
    assert (person.id, person.name) == (f"{ISSUER}|u-1", "Anna")
    assert "anna@example.org" not in repr(person)
    other = identify_person(claims | {"iss": "https://other.example"}, frozenset())
    assert other.id != person.id
    assert other.name == person.name


@pytest.mark.parametrize(
    "change",
    [
        {"iss": ""}, {"iss": None}, {"iss": 7}, {"sub": ""}, {"sub": None}, {"sub": 7}, {"sub": "a\u202eb"}, {"sub": "a\nb"}, {"sub": "x" * 400},
        {"iss": "https://a|b"}, {"exp": None}, {"exp": True}, {"exp": "never"}, {"exp": -1}, {"exp": 1e300}, {"exp": float("nan")},
    ],
)  # fmt: skip
def test_a_token_that_does_not_say_who_or_until_when_is_refused(change: dict[str, Any]) -> None:
    assert find_why(lambda: identify_person(make_claims("anna", now=NOON) | change, frozenset())) == "bad_identity"


def test_a_name_is_cut_and_loses_what_cannot_be_seen() -> None:
    person = identify_person(make_claims("u", now=NOON) | {"name": "An\u202e\u0000na" + "x" * 500}, frozenset())
    assert person.name.startswith("Anna")
    assert len(person.name) == 120
    nameless = make_claims("u-7", now=NOON) | {"name": "\u202e"}
    assert identify_person(nameless, frozenset()).name == "u-7"


def test_a_person_id_may_hold_bars_after_the_first() -> None:
    assert read_person_id({"iss": "https://idp.example", "sub": "auth0|5"}) == "https://idp.example|auth0|5"


@pytest.mark.parametrize(("ago_s", "is_recent"), [(0, True), (300, True), (301, False), (-60, True), (-61, False)])
def test_a_recent_sign_in_is_counted_from_auth_time(ago_s: float, is_recent: bool) -> None:
    """Five minutes; the provider's clock may be a minute ahead of ours, and no more."""
    person = make_person("anna", ago_s=ago_s, now=NOON)
    if is_recent:
        assert require_recent(person, max_age_s=300, now=NOON) is person
    else:
        assert find_why(lambda: require_recent(person, max_age_s=300, now=NOON)) == "not_recent"


def test_a_provider_that_does_not_say_when_is_no_recent_sign_in() -> None:
    silent = replace(make_person("anna", now=NOON), signed_in_at=None)
    assert find_why(lambda: require_recent(silent, max_age_s=1e9, now=NOON)) == "not_recent"
