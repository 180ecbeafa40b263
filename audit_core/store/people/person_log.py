"""People in the log: sign-ins, sign-outs, disabled persons, and refused actions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from audit_core.errors import AccessRefused, Refused
from audit_core.governance.people import CLOCK_SKEW_S, Permission, Person, require, require_recent
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import MAX_NAME, Action, append_event, find_log_id, parse_time, read_clock

if TYPE_CHECKING:
    import duckdb

MAX_REASON = 400
_SIGNED_IN, _DISABLED, _ENABLED = "signed_in", "disabled", "enabled"
_INSERT = "INSERT INTO person_state VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COUNT = "SELECT count(*) FROM person_state"
# For a sign-in, the column `reason` contains its digest.
_HAS_SIGNED_IN = (
    "SELECT count(*) FROM person_state WHERE person = ? AND state = 'signed_in' AND (? IS NULL OR reason = ?)"
)
# The state is read from the hash-chained events, where a deletion is detected, not from the rows.
_LAST_WORD = """
SELECT action FROM audit_event WHERE log_id = ? AND object_id = ? AND action IN ('person.disabled', 'person.enabled')
ORDER BY seq DESC LIMIT 1
"""
# Each sign-out lists the digests of the sign-ins that it ended, so a text search for a digest finds its event.
_SIGNED_OUT = """
SELECT count(*) FILTER (contains(body, ?)), max(ts) FROM audit_event WHERE log_id = ? AND object_id = ? AND action = 'person.signed_out'
"""
_LASTING = """
SELECT reason FROM person_state
WHERE person = ? AND state = 'signed_in' AND reason <> '' AND expires_at > ? ORDER BY number DESC LIMIT 300
"""
_ROWS = "SELECT person, told_at, state, name, roles, reason FROM person_state ORDER BY number"


@dataclass(frozen=True)
class KnownPerson:
    """A person who has signed in at least once."""

    id: str
    name: str
    """Latest name from the provider."""
    roles: str
    """Roles at the last sign-in, separated by commas."""
    first_seen: str
    last_signed_in: str
    is_disabled: bool
    reason: str
    """Reason of the last change of state; empty without one."""


class PersonLog:
    """Authorize people's actions, and log sign-ins and refusals."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def note_sign_in(self, person: Person) -> None:
        """Log a sign-in once, regardless of the number of browser windows."""
        if person.is_local:
            return
        ends = _spell(person.expires_at)
        with open_database(self.home) as connection:
            if _has_signed_in(connection, person.id, person.sign_in):
                return
            _insert(connection, person.id, _SIGNED_IN, actor=person.id, person=person, reason=person.sign_in)
            payload = {
                "roles": sorted(person.roles),
                "signed_in_at": _spell(person.signed_in_at) or None,
                "expires_at": ends,
            }
            append_event(
                connection, actor=person.id, action=Action.PERSON_SIGNED_IN, object_id=person.id, payload=payload
            )

    def sign_out(self, person: Person) -> None:
        """End every sign-in of the person so far, in every window and for every copied cookie.

        The sign-out is logged, so it survives a restart of the server.
        """
        if person.is_local:
            return
        with open_database(self.home) as connection:
            if has_signed_out(connection, person):
                # An old window must not end a newer sign-in.
                return
            rows = connection.execute(_LASTING, [person.id, _spell(datetime.now(UTC))]).fetchall()
            payload = {"sign_ins": sorted({person.sign_in, *(str(digest) for (digest,) in rows)})}
            append_event(
                connection, actor=person.id, action=Action.PERSON_SIGNED_OUT, object_id=person.id, payload=payload
            )

    def find_refusal(self, person: Person | None, permission: Permission) -> AccessRefused | None:
        """Why the person may not act now; None where they may. Logs nothing."""
        if person is None or person.is_local:
            return _catch(lambda: require(person, permission, now=datetime.now(UTC)))
        with open_database(self.home) as connection:
            return find_refusal(connection, person, permission)

    def authorize(
        self, person: Person | None, permission: Permission, *, about: str, max_age_s: float | None = None
    ) -> Person:
        """Return the person if they may act now, else log the refusal; every action that writes calls this.

        Args:
            about: id of the action's object.
            max_age_s: maximum seconds since they authenticated with the provider; None for no limit.

        Raises:
            AccessRefused: as `require` and `require_recent`, and where an admin has disabled the person.
        """
        if person is None or person.is_local:
            return require(person, permission, now=datetime.now(UTC))
        with open_database(self.home) as connection:
            refusal = find_refusal(connection, person, permission, max_age_s)
            if refusal is not None:
                describe_refusal(connection, person, permission, about, refusal)
        if refusal is not None:
            raise refusal
        return person

    def refuse(self, person: Person, permission: Permission, *, about: str, refusal: AccessRefused) -> None:
        """Log a refusal that the caller found."""
        if not person.is_local:
            with open_database(self.home) as connection:
                describe_refusal(connection, person, permission, about, refusal)

    def disable(self, person_id: str, *, by: Person, reason: str) -> None:
        """Disable a person from their next action on.

        Raises:
            AccessRefused: `by` may not do that.
            Refused: no reason, no person with that id, `by` themself, or disabled already.
        """
        self._change(person_id, _DISABLED, Action.PERSON_DISABLED, by, reason)

    def enable(self, person_id: str, *, by: Person, reason: str) -> None:
        """Enable a person again; raises as `disable`."""
        self._change(person_id, _ENABLED, Action.PERSON_ENABLED, by, reason)

    def list_known(self) -> tuple[KnownPerson, ...]:
        """Every person who has signed in, oldest first."""
        with open_database(self.home) as connection:
            rows = connection.execute(_ROWS).fetchall()
            people: dict[str, KnownPerson] = {}
            for person, changed_at, state, name, roles, reason in rows:
                last = people.get(person) or KnownPerson(person, name, roles, changed_at, "", False, "")
                is_in = state == _SIGNED_IN
                people[person] = KnownPerson(
                    person,
                    name if is_in else last.name,
                    roles if is_in else last.roles,
                    last.first_seen,
                    changed_at if is_in else last.last_signed_in,
                    is_disabled(connection, person),
                    last.reason if is_in else reason,
                )
        return tuple(people.values())

    def _change(self, person_id: str, state: str, action: Action, by: Person, reason: str) -> None:
        reason = reason.strip()
        with open_database(self.home) as connection:
            refusal = find_refusal(connection, by, Permission.MANAGE_PEOPLE)
            if refusal is not None:
                describe_refusal(connection, by, Permission.MANAGE_PEOPLE, person_id, refusal)
            else:
                _check_change(connection, person_id, state, by, reason)
                _insert(connection, person_id, state, actor=by.id, reason=reason)
                digest = hashlib.sha256(reason.encode()).hexdigest()
                append_event(
                    connection, actor=by.id, action=action, object_id=person_id, payload={"reason_sha256": digest}
                )
        if refusal is not None:
            raise refusal


def find_refusal(
    connection: duckdb.DuckDBPyConnection, person: Person, permission: Permission, max_age_s: float | None = None
) -> AccessRefused | None:
    """Why the person may not act now, in the caller's transaction; None where they may."""
    now = datetime.now(UTC)
    refusal = _catch(lambda: require(person, permission, now=now))
    if refusal is None and has_signed_out(connection, person):
        refusal = AccessRefused(
            f"{person.name} has signed out.", wanted="a sign-in since then.", remedy="sign in again.", why="signed_out"
        )
    if refusal is None and is_disabled(connection, person.id):
        refusal = AccessRefused(
            f"{person.name} ({person.id}) is disabled here.", wanted="an enabled person.", remedy="ask an admin of this server.",
            why="disabled",
        )  # fmt: skip
    if refusal is None and max_age_s is not None:
        refusal = _catch(lambda: require_recent(person, max_age_s=max_age_s, now=now))
    return refusal


def describe_refusal(
    connection: duckdb.DuckDBPyConnection, person: Person, permission: Permission, about: str, refusal: AccessRefused
) -> None:
    """Log the refusal in the caller's transaction, which must then be committed."""
    append_event(
        connection,
        actor=person.id,
        action=Action.PERSON_REFUSED,
        object_id=about[:MAX_NAME],
        payload={"deed": permission.value, "why": refusal.why, "roles": sorted(person.roles)},
    )


def has_signed_out(connection: duckdb.DuckDBPyConnection, person: Person) -> bool:
    """Whether a sign-out ended this sign-in, or came after its token was issued but before its first use."""
    if person.is_local:
        return False
    row = connection.execute(_SIGNED_OUT, [person.sign_in, find_log_id(connection), person.id]).fetchone()
    if row is None or row[1] is None:
        return False
    if row[0] or not person.sign_in:
        return True
    # A cookie that was copied before its first use. Clocks may differ by `CLOCK_SKEW_S`.
    is_seen = _has_signed_in(connection, person.id, person.sign_in)
    before = parse_time(str(row[1])) - timedelta(seconds=CLOCK_SKEW_S)
    return not is_seen and person.issued_at is not None and person.issued_at < before


def is_disabled(connection: duckdb.DuckDBPyConnection, person_id: str) -> bool:
    """Whether the latest event about a person disables them."""
    row = connection.execute(_LAST_WORD, [find_log_id(connection), person_id]).fetchone()
    return row is not None and row[0] == Action.PERSON_DISABLED


def _check_change(connection: duckdb.DuckDBPyConnection, person_id: str, state: str, by: Person, reason: str) -> None:
    if not 0 < len(reason) <= MAX_REASON:
        raise Refused(
            f"The reason has {len(reason)} characters.",
            wanted=f"1 to {MAX_REASON}.",
            remedy="give the reason in a sentence.",
        )
    if person_id == by.id:
        raise Refused(
            f"{by.name} cannot change their own access.",
            wanted="another person.",
            remedy="ask another admin, so that one admin always remains.",
        )
    if not _has_signed_in(connection, person_id):
        raise Refused(
            f"{person_id[:80]!r} has never signed in.",
            wanted="a person from the list.",
            remedy="remove roles in people.toml or at the provider.",
        )
    if is_disabled(connection, person_id) is (state == _DISABLED):
        raise Refused(
            f"{person_id[:80]!r} is {state} already.", wanted="a change.", remedy="no action is needed; check the list."
        )


def _insert(
    connection: duckdb.DuckDBPyConnection, person_id: str, state: str, *, actor: str, person: Person | None = None, reason: str = ""
) -> None:  # fmt: skip
    # Rows are append-only, with one writer at a time, so their count is the next number.
    row = connection.execute(_COUNT).fetchone()
    number = 1 + (int(row[0]) if row else 0)
    reported = (
        ("", "", "") if person is None else (person.name, ", ".join(sorted(person.roles)), _spell(person.expires_at))
    )
    connection.execute(_INSERT, [number, person_id, read_clock(), state, actor, *reported, reason])


def _has_signed_in(connection: duckdb.DuckDBPyConnection, person_id: str, sign_in: str | None = None) -> bool:
    """Whether the person has signed in, or this sign-in was logged."""
    row = connection.execute(_HAS_SIGNED_IN, [person_id, sign_in, sign_in]).fetchone()
    return row is not None and row[0] > 0


def _spell(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _catch(ask: Callable[[], object]) -> AccessRefused | None:
    try:
        ask()
    except AccessRefused as refusal:
        return refusal
    return None
