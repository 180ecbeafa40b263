"""A sign-out ends the sign-in on the server: a copied cookie, another window or an old token opens nothing any more."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from toy.people import ISSUER, make_claims

from audit_core.errors import AccessRefused
from audit_core.governance.people import LOCAL_PERSON, Permission, Person, PersonRole, identify_person
from audit_core.store import PersonLog, list_events, open_database, verify_log

MOMENT = [0]
"""Second at which the test began: tokens made in it are equal where their claims are, however slow the machine."""


@pytest.fixture(autouse=True)
def moment() -> None:
    MOMENT[0] = int(datetime.now(UTC).timestamp())


def person(subject: str = "anna", **claims: Any) -> Person:
    """As one token tells of them; each token differs in whatever is given, times in seconds from now."""
    now = MOMENT[0]
    claims |= {name: now + claims[name] for name in ("iat", "exp") if name in claims}
    return identify_person(
        make_claims(subject, now=datetime.fromtimestamp(now, UTC)) | {"iat": now} | claims,
        frozenset({PersonRole.RESEARCHER}),
    )


@pytest.fixture
def log(own_home: Path) -> PersonLog:
    own_home.mkdir()
    return PersonLog(own_home)


def why(log: PersonLog, asked: Person) -> str:
    refusal = log.find_refusal(asked, Permission.RUN)
    return "" if refusal is None else refusal.why


def test_a_token_that_signed_out_is_refused_at_the_next_action_and_after_a_restart(log: PersonLog) -> None:
    token = person(nonce="one")
    log.note_sign_in(token)
    log.sign_out(token)
    again = PersonLog(log.home)
    assert why(again, person(nonce="one")) == "signed_out"
    with pytest.raises(AccessRefused, match="sign in again"):
        again.authorize(token, Permission.RUN, about="sweep")


OTHERS = {
    "an earlier token, before signing in again": {"nonce": "zero", "iat": -30},
    "another browser's token of the same second": {"nonce": "other"},
    "a token of a provider whose clock is ahead": {"nonce": "ahead", "iat": 50},
    "a token without a nonce": {"exp": 900},
    "a token with an id of its own": {"jti": "other"},
}


@pytest.mark.parametrize("kind", OTHERS)
def test_every_sign_in_that_was_seen_before_is_ended_with_it(log: PersonLog, kind: str) -> None:
    mine, other = person(nonce="one"), person(**OTHERS[kind])
    log.note_sign_in(other)
    log.note_sign_in(mine)
    log.sign_out(mine)
    assert why(log, other) == "signed_out"


@pytest.mark.parametrize("claims", [{"nonce": "new"}, {"iat": 1}, {"iat": -20, "exp": 77}, {"jti": "new"}])
def test_a_person_who_signs_in_afterwards_is_in(log: PersonLog, claims: dict[str, Any]) -> None:
    """Also where the provider's clock is behind ours, or its session, and with it `exp` and `sid`, goes on."""
    old, new = person(nonce="old", sid="same"), person(**{"nonce": "old", "sid": "same"} | claims)
    log.note_sign_in(old)
    log.sign_out(old)
    assert why(log, new) == ""
    log.note_sign_in(new)
    assert why(log, new) == ""
    assert why(log, old) == "signed_out"


def test_a_cookie_that_was_copied_before_it_was_ever_used_opens_nothing_either(log: PersonLog) -> None:
    mine = person(nonce="one")
    log.note_sign_in(mine)
    log.sign_out(mine)
    assert why(log, person(nonce="never seen", iat=-600)) == "signed_out"


def test_another_persons_sign_in_is_left_alone(log: PersonLog) -> None:
    mine, other = person(nonce="one"), person("bela", nonce="one")
    for one in (mine, other):
        log.note_sign_in(one)
    log.sign_out(mine)
    assert why(log, other) == ""
    assert mine.sign_in != other.sign_in


def test_the_log_records_it_by_digests_and_stays_when_rows_are_taken_out(log: PersonLog) -> None:
    import duckdb

    from audit_core.evidence.keys import load_log_key
    from audit_core.store.database.connection import DATABASE

    mine = person(nonce="a nonce of the provider")
    log.note_sign_in(mine)
    log.sign_out(mine)
    with open_database(log.home) as connection:
        (event,) = [one for one in list_events(connection) if one.action == "person.signed_out"]
    assert (event.actor, event.object_id) == (f"{ISSUER}|anna", f"{ISSUER}|anna")
    assert event.payload == {"sign_ins": [mine.sign_in]}
    assert "a nonce" not in event.body
    assert load_log_key(log.home) is not None
    with open_database(log.home) as connection:
        assert not verify_log(connection).findings
    with duckdb.connect(str(log.home / DATABASE)) as raw:
        raw.execute("DROP TRIGGER person_state_kept ON person_state")
        raw.execute("DELETE FROM person_state")
    assert why(log, mine) == "signed_out"


def test_a_window_that_was_left_open_cannot_end_a_later_sign_in(log: PersonLog) -> None:
    old, new = person(nonce="old"), person(nonce="new")
    log.note_sign_in(old)
    log.sign_out(old)
    log.note_sign_in(new)
    log.sign_out(old)
    assert why(log, new) == ""


def test_people_are_listed_as_before(log: PersonLog) -> None:
    mine = person(nonce="one")
    log.note_sign_in(mine)
    log.sign_out(mine)
    (known,) = log.list_known()
    assert (known.name, known.reason, known.is_disabled) == ("Anna", "", False)


def test_the_local_person_has_nothing_to_sign_out_of(log: PersonLog) -> None:
    log.sign_out(LOCAL_PERSON)
    assert why(log, LOCAL_PERSON) == ""
